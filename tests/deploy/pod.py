"""A pod: its network, volumes and containers, from the first init container to the last signal."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.deploy import probes
from tests.deploy.container import Container
from tests.deploy.manifests import Doc, Group, contents

if TYPE_CHECKING:
    from tests.deploy.cluster import Cluster

ENTRYPOINT = ["postmeter"]
"""The image's own."""
BACKOFF = 10.0
"""Seconds before a container that ended is started for the second time; the first time is at once."""
MOST_STARTS = 6
"""Of one container: what needs more of them never comes up, and nobody has to wait for it."""
LEAST_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL that a pod has even if its hook has taken all."""


class Pod:
    """`node` is a name only: all pods run here. `revision`: of the template that it was made from."""

    def __init__(self, cluster: Cluster, name: str, owner: str, template: Doc, revision: str, node: str) -> None:
        self.cluster, self.name, self.owner, self.revision, self.node = cluster, name, owner, revision, node
        self.group = Group(owner, template)
        self.spec, self.labels = self.group.spec, self.group.labels
        self.uid = cluster.next_uid()
        self.folder: Path = cluster.folder / f"{self.uid}-{name}"
        self.hosts, self.slow = cluster.hosts, cluster.slow
        self.holder: asyncio.subprocess.Process | None = None
        self.address = ""
        self.terminating = self.gone = self.succeeded = False
        self.ready_since: float | None = None
        self.containers = [Container(self, spec, entrypoint=ENTRYPOINT) for spec in self.spec["containers"]]
        self._term = asyncio.Event()
        self._life = asyncio.create_task(self._live())

    # -- what others see

    @property
    def ready(self) -> bool:
        return not self.gone and bool(self.address) and all(one.ready for one in self.containers)

    def available(self, seconds: float) -> bool:
        """Ready for so long, and here to stay."""
        since = self.ready_since
        return since is not None and not self.terminating and asyncio.get_running_loop().time() - since >= seconds

    def port(self, port: int | str) -> int:
        """A container's port by number or name."""
        return self.group.port(port)

    def field(self, path: str) -> str:
        """The downward API."""
        label = re.fullmatch(r"metadata\.labels\['(.+)'\]", path)
        known = {
            "metadata.name": self.name,
            "metadata.namespace": self.cluster.namespace,
            "metadata.uid": str(self.uid),
            "status.podIP": self.address,
            "spec.nodeName": self.node,
        }
        return self.labels.get(label[1], "") if label else known[path]

    def service_links(self) -> dict[str, str]:
        """The variables that every pod gets of every service unless it says no: they may look like settings."""
        return {} if self.spec.get("enableServiceLinks") is False else self.cluster.service_links()

    def mounts(self, container: Doc) -> list[tuple[str, str, bool]]:
        """Folder, place and whether read-only of each of a container's mounts."""
        volumes = {volume["name"]: volume for volume in self.spec.get("volumes", [])}
        found = []
        for mount in container.get("volumeMounts", []):
            folder, fixed = self._volume(mount["name"], volumes.get(mount["name"]))
            folder /= mount.get("subPath", "")
            if not folder.exists():
                folder.mkdir(parents=True)
                self._hand_over(folder)
            found.append((str(folder), mount["mountPath"], fixed or bool(mount.get("readOnly"))))
        return found

    def changed(self) -> None:
        """Tell everybody who waits for something."""
        if not self.ready:
            self.ready_since = None
        elif self.ready_since is None:
            self.ready_since = asyncio.get_running_loop().time()
        self.cluster.changed()

    # -- life

    def delete(self) -> None:
        """As `kubectl delete pod` does: hook, SIGTERM, SIGKILL."""
        if not self.terminating:
            self.terminating = True
            self._term.set()
            self.changed()

    def _note(self, event: str) -> None:
        self.cluster.events.append(f"{self.name}: {event}")

    def kill(self) -> None:
        """kill -9 of every container's process."""
        for container in self.containers:
            container.signal(signal.SIGKILL)

    async def _live(self) -> None:
        try:
            self.folder.mkdir(parents=True)
            self.holder, self.address = await self.cluster.network.add_pod()
            self.cluster.write_hosts()
            for spec in self.spec.get("initContainers", []):
                await self._until_done(Container(self, spec, entrypoint=ENTRYPOINT))
            once = self.spec.get("restartPolicy", "Always") != "Always"
            run = self._until_done if once else self._keep
            async with asyncio.TaskGroup() as tasks:
                for container in self.containers:
                    tasks.create_task(run(container))
            self.succeeded = once
        except Exception as error:
            # Whoever waits for anything raises it; nobody awaits this task.
            self.cluster.failures.append(f"{self.name}: {error!r}")
        finally:
            if self.holder is not None:
                self.cluster.network.remove_pod(self.holder)
            self.gone = True
            for container in self.containers:
                container.forget()
            self.changed()

    async def _until_done(self, container: Container) -> None:
        """An init container, or one of a job: again until it succeeds, or the pod is deleted."""
        for _ in range(3):
            process = await container.start()
            container.started = container.ready = True
            self.changed()
            ended, deleted = asyncio.create_task(process.wait()), asyncio.create_task(self._term.wait())
            await asyncio.wait([ended, deleted], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._stop(container, ended)
            deleted.cancel()
            container.started = container.ready = False
            if self.terminating or process.returncode == 0:
                return
        raise RuntimeError(f"{container.name} fails: {container.log.read_text()[-2000:]}")

    async def _keep(self, container: Container) -> None:
        """Start a container again whenever it ends or fails its probes, until the pod is deleted."""
        while not self._term.is_set():
            if container.starts == MOST_STARTS:
                raise RuntimeError(f"{container.name} ends again and again: {container.log.read_text()[-2000:]}")
            process = await container.start()
            ended = asyncio.create_task(process.wait())
            probed = asyncio.create_task(probes.watch(container))
            deleted = asyncio.create_task(self._term.wait())
            await asyncio.wait([ended, probed, deleted], return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not deleted.done():
                self._note(f"{container.name} ended with {process.returncode}")
            elif probed.done() and not deleted.done():
                self._note(f"{container.name} failed its {probed.result()}")
            if not ended.done():
                await self._stop(container, ended)
            probed.cancel()
            deleted.cancel()
            container.started = container.ready = False
            self.changed()
            if not self._term.is_set() and container.starts > 1:
                wait = asyncio.create_task(self._term.wait())
                await asyncio.wait([wait], timeout=BACKOFF)
                wait.cancel()

    async def _stop(self, container: Container, ended: asyncio.Task[int]) -> None:
        """The hook, then SIGTERM, and SIGKILL when the grace is over."""
        loop = asyncio.get_running_loop()
        over = loop.time() + self.spec.get("terminationGracePeriodSeconds", 30)
        hook = container.spec.get("lifecycle", {}).get("preStop")
        if hook is not None:
            task = asyncio.create_task(self._hook(container, hook))
            await asyncio.wait([task, ended], timeout=over - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
        container.signal(signal.SIGTERM)
        await asyncio.wait([ended], timeout=max(LEAST_GRACE, over - loop.time()))
        if not ended.done():
            self._note(f"{container.name} did not stop in its grace period")
            container.signal(signal.SIGKILL)
            await ended

    async def _hook(self, container: Container, hook: Doc) -> None:
        if "sleep" in hook:
            await asyncio.sleep(hook["sleep"]["seconds"])
        elif "exec" in hook:
            status = await container.execute(hook["exec"]["command"])
            if status != 0 and container.first_process() is not None:
                self._note(f"{container.name}: preStop ended with {status}")
        else:
            await probes.succeeds(container, hook)

    # -- volumes

    def _volume(self, name: str, volume: Doc | None) -> tuple[Path, bool]:
        """The folder of a volume, and whether it is read-only whatever the mount says."""
        claim = self.cluster.claim_of(self, name) if volume is None else volume.get("persistentVolumeClaim")
        if claim is not None:
            folder = self.cluster.folder / "claims" / (claim if isinstance(claim, str) else claim["claimName"])
        else:
            folder = self.folder / "volumes" / name
        if folder.exists():
            return folder, bool(volume and {"configMap", "secret"} & set(volume))
        folder.mkdir(parents=True)
        if volume is not None and (files := self._files(volume)) is not None:
            for file, text in files.items():
                (folder / file).write_bytes(text)
            return folder, True
        if claim is None and "emptyDir" not in (volume or {}):
            shutil.rmtree(folder)
            raise ValueError(f"a volume of a kind that is not known here: {volume}")
        self._hand_over(folder, others=claim is None)
        return folder, False

    def _files(self, volume: Doc) -> dict[str, bytes] | None:
        for kind, doc_kind, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            if kind in volume:
                data = contents(self.cluster.manifests.get(doc_kind, volume[kind][key]))
                items = volume[kind].get("items")
                return {item["path"]: data[item["key"]] for item in items} if items else data
        return None

    def _hand_over(self, folder: Path, *, others: bool = False) -> None:
        """A fresh volume is root's; the pod's group gets it, as the kubelet does. An emptyDir is everybody's."""
        group = self.spec.get("securityContext", {}).get("fsGroup")
        folder.chmod(0o777 if others else 0o755)
        if group is not None:
            os.chown(folder, 0, group)
            folder.chmod(0o2777 if others else 0o2775)
