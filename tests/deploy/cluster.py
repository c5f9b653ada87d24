"""As much of a cluster as runs the manifests: nodes that are names, pods that are processes, controllers that watch.

What is not here: seccomp profiles are not enforced, autoscalers do not scale (their least number of replicas runs), and
all nodes share one machine. Network policies hold for whoever dials a service; what they refuse fails the test.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.deploy import container
from tests.deploy.manifests import Doc, Group, Manifests, selects, share
from tests.deploy.network import Network
from tests.deploy.pod import Pod
from tests.deploy.policies import allows
from tests.deploy.services import Service, StandIn
from tests.deploy.workloads import KINDS, Workload
from tests.product import PATIENCE


class Cluster:
    """Used on its network's loop only. `failures`: pods that could not even be started, and why.

    `events`: containers that ended or were ended against their will.
    """

    def __init__(self, network: Network, folder: Path, namespace: str, nodes: int) -> None:
        self.network, self.folder, self.namespace = network, folder, namespace
        self.manifests = Manifests([])
        self.nodes = {f"node-{number}": True for number in range(nodes)}
        self.pods: list[Pod] = []
        self.services: dict[str, Service] = {}
        self.workloads: dict[str, Workload] = {}
        self.failures: list[str] = []
        self.events: list[str] = []
        self.slow = 0.0
        """Seconds that the processes of pods made from now on need before they begin, as with a large image."""
        self.hosts = folder / "hosts"
        self.hosts.write_text("")
        self._uids = 0
        self._moved = 0.0
        self._names: dict[str, str] = {}
        self._news = asyncio.Event()
        self._stand_ins: list[StandIn] = []
        self._timer: asyncio.TimerHandle | None = None

    # -- what a person does

    async def stand_in(self, group: Group, socket: str, port: int) -> StandIn:
        """A server of the test's on a Unix socket, as the Service and the pods of a group that are not run."""
        address = await self.network.add_service()
        stand_in = StandIn(socket, address, port, lambda peer: self.admitted(peer, group, port))
        await stand_in.start()
        self._stand_ins.append(stand_in)
        self._names[group.name] = address
        self.write_hosts()
        return stand_in

    async def apply(self, manifests: Manifests) -> None:
        """`kubectl apply`: what is new is made, what is changed is rolled out."""
        self.manifests = manifests
        for doc in manifests.of("Service"):
            if doc["metadata"]["name"] not in self.services:
                service = Service(self, doc)
                await service.start()
                self.services[service.name] = service
        self.write_hosts()
        for doc in manifests.of(*KINDS):
            known = self.workloads.get(doc["metadata"]["name"])
            if known is None:
                self.workloads[doc["metadata"]["name"]] = KINDS[doc["kind"]](self, doc)
            else:
                known.doc = doc
        self.changed()

    async def run_job(self, doc: Doc) -> None:
        """A Job, to its end."""
        name = doc["metadata"]["name"]
        pod = self.create(name, f"Job/{name}", doc["spec"]["template"], "")
        await self.until(f"the end of {name}", lambda: pod.gone)
        assert pod.succeeded, self.failures

    async def drain(self, node: str) -> int:
        """`kubectl drain`: no new pods there, and each one that is there goes when its budget lets it. How many."""
        self.cordon(node)
        evicted: set[Pod] = set()

        def step() -> bool:
            there = [pod for pod in self.pods if pod.node == node]
            for pod in there:
                if not pod.terminating and self._may_go(pod):
                    evicted.add(pod)
                    pod.delete()
            return not there

        await self.until(f"an empty {node}", step)
        return len(evicted)

    def cordon(self, node: str) -> None:
        """No new pods there."""
        self.nodes[node] = False

    def uncordon(self, node: str) -> None:
        self.nodes[node] = True

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Return once it holds; look whenever something changes. Patience begins anew with each pod's step."""
        self._moved = asyncio.get_running_loop().time()
        while not condition():
            if self.failures:
                raise AssertionError(f"while waiting for {what}: {self.failures}")
            if asyncio.get_running_loop().time() - self._moved > PATIENCE:
                raise AssertionError(f"waited in vain for {what}; {self.describe()}")
            await self._news.wait()

    async def settled(self) -> None:
        """Every workload runs as it is wanted, and every service knows it."""
        await self.until(
            "a settled cluster",
            lambda: (
                all(workload.settled for workload in self.workloads.values())
                and all(not pod.terminating and pod in self.known_pods() for pod in self.pods if self._is_served(pod))
            ),
        )

    async def close(self) -> None:
        """End everything at once."""
        self.workloads.clear()
        for stand_in in self._stand_ins:
            stand_in.stop()
        for service in self.services.values():
            service.stop()
        for pod in self.pods:
            pod.delete()
            pod.kill()
        while self.pods:
            await self.news()
            for pod in self.pods:
                pod.kill()
        if self._timer is not None:
            self._timer.cancel()
        container.remove_leftovers()

    async def news(self) -> None:
        """Return when something has changed, or time has passed that something may have waited for."""
        await self._news.wait()

    # -- what pods and services ask

    def next_uid(self) -> int:
        self._uids += 1
        return self._uids

    def create(self, name: str, owner: str, template: Doc, revision: str) -> Pod:
        """A pod on the node that has the fewest of its kind."""
        counts = Counter(pod.node for pod in self.pods if pod.owner == owner)
        node = min((node for node, open_ in self.nodes.items() if open_), key=lambda one: counts[one])
        pod = Pod(self, name, owner, template, revision, node)
        self.pods.append(pod)
        return pod

    def claim_of(self, pod: Pod, volume: str) -> str | None:
        """The name of the claim that a StatefulSet's pod has for a volume; kept when the pod goes."""
        kind, _, name = pod.owner.partition("/")
        if kind != "StatefulSet":
            return None
        templates = self.manifests.get(kind, name)["spec"].get("volumeClaimTemplates", [])
        return f"{volume}-{pod.name}" if any(t["metadata"]["name"] == volume for t in templates) else None

    def admitted(self, peer: str, target: Group, port: int) -> bool:
        """Whether policies let the pod of an address connect; the test itself is outside of the cluster."""
        source = next((pod for pod in self.pods if pod.address == peer), None)
        if allows(self.manifests, source.group if source else "", target, port):
            return True
        self.failures.append(f"{source.name if source else 'from outside'}: not let in to {target.owner}, {port}")
        return False

    def service_links(self) -> dict[str, str]:
        """NAME_SERVICE_HOST, NAME_PORT and so on, of every service that has an address."""
        found = {}
        for service in self.services.values():
            if not service.address:
                continue
            prefix, first = service.name.upper().replace("-", "_"), service.ports[0]["port"]
            found[f"{prefix}_SERVICE_HOST"] = service.address
            found[f"{prefix}_SERVICE_PORT"] = str(first)
            found[f"{prefix}_PORT"] = f"tcp://{service.address}:{first}"
            for port in service.ports:
                if "name" in port:
                    found[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
                found[f"{prefix}_PORT_{port['port']}_TCP"] = f"tcp://{service.address}:{port['port']}"
        return found

    def known_pods(self) -> set[Pod]:
        """All that some service sends connections to."""
        return {pod for service in self.services.values() for pod in service.pods}

    def changed(self) -> None:
        """Something has happened: controllers look, who waits looks."""
        self._moved = asyncio.get_running_loop().time()
        self.pods = [pod for pod in self.pods if not pod.gone]
        self.write_hosts()
        for service in self.services.values():
            service.refresh()
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_later(0.05, self._look)

    def _look(self) -> None:
        """The controllers, and again in a moment: some of what they wait for is only time."""
        self._timer = asyncio.get_running_loop().call_later(0.25, self._look)
        try:
            for workload in self.workloads.values():
                workload.reconcile()
        except Exception as error:
            self.failures.append(f"{workload.key}: {error!r}")
        self._news.set()
        self._news = asyncio.Event()

    def write_hosts(self) -> None:
        """What cluster DNS would say, in place: the pods have this file open as /etc/hosts."""
        names = {"localhost": ["127.0.0.1"], **{name: [address] for name, address in self._names.items()}}
        for service in self.services.values():
            names[service.name] = [service.address] if service.address else [pod.address for pod in service.pods]
            if service.headless:
                names |= {f"{pod.name}.{service.name}": [pod.address] for pod in service.pods}
        lines = []
        for name, addresses in names.items():
            full = [name, *(f"{name}.{self.namespace}{end}" for end in ("", ".svc", ".svc.cluster.local"))]
            lines += [f"{address} {' '.join(full)}" for address in addresses]
        text = ("\n".join(lines) + "\n").encode()
        with os.fdopen(os.open(self.hosts, os.O_WRONLY), "wb") as file:
            file.write(text)
            file.truncate()

    def describe(self) -> str:
        """For whoever waited in vain."""
        pods = [
            f"{pod.name} on {pod.node}: {'terminating' if pod.terminating else 'ready' if pod.ready else 'not ready'}; "
            + "".join(c.log.read_text()[-1500:] for c in pod.containers if c.log.exists())
            for pod in self.pods
        ]
        return "\n".join([*self.events, *pods])

    def _is_served(self, pod: Pod) -> bool:
        return any(selects(doc["spec"].get("selector", {}), pod.labels) for doc in self.manifests.of("Service"))

    def _may_go(self, pod: Pod) -> bool:
        for budget in self.manifests.of("PodDisruptionBudget"):
            if not selects(budget["spec"]["selector"], pod.labels):
                continue
            matching = [one for one in self.pods if selects(budget["spec"]["selector"], one.labels)]
            healthy = sum(one.ready and not one.terminating for one in matching)
            wanted = sum(work.replicas for work in self.workloads.values() if work.key in {p.owner for p in matching})
            if "maxUnavailable" in budget["spec"]:
                least = wanted - share(budget["spec"]["maxUnavailable"], wanted, up=True)
            else:
                least = share(budget["spec"]["minAvailable"], wanted, up=True)
            if healthy <= least:
                return False
        return True
