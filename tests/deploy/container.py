"""One container as a real process: the manifest's command, environment, user, file system and memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.deploy.manifests import Doc, Manifests, contents, quantity

if TYPE_CHECKING:
    from tests.deploy.pod import Pod

CLONE = Path(__file__).parents[2]
ENVIRONMENT = Path(sys.prefix)
_ROOT = [Path("/bin"), Path("/sbin"), Path("/lib"), Path("/lib64")]
IMAGE = ["/usr", "/etc", *(str(folder) for folder in _ROOT if folder.exists() and not folder.is_symlink())]
"""What stands in for the image: this machine's programs, this clone and its environment, all read-only."""
IMAGE += dict.fromkeys(str(f) for f in (Path(sys.base_prefix).resolve(), CLONE, ENVIRONMENT))
PATH = f"{ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin"
PYTHON = sys._base_executable  # type: ignore[attr-defined]  # the one that .venv is of has no public name
LEAN = str(CLONE / "tests/lean")
"""Where it says that a process does not find what the tests alone need."""
_VERSION_2 = Path("/sys/fs/cgroup/cgroup.controllers")
_VERSION_1 = Path("/sys/fs/cgroup/memory")


class Container:
    """Made anew each time the process is started."""

    def __init__(self, pod: Pod, spec: Doc, *, entrypoint: list[str]) -> None:
        self.pod, self.spec, self._entrypoint = pod, spec, entrypoint
        self.name: str = spec["name"]
        self.started = self.ready = False
        self.starts = 0
        self.process: asyncio.subprocess.Process | None = None
        self._cgroup: Path | None = None

    @property
    def log(self) -> Path:
        return self.pod.folder / f"{self.name}.log"

    async def start(self) -> asyncio.subprocess.Process:
        """Start the process; wait for its end with `process.wait()`."""
        self.started = self.ready = False
        self.starts += 1
        file = self.pod.folder / f"{self.name}.json"
        (self.pod.folder / f"{self.name}.root").mkdir(exist_ok=True)
        file.write_text(json.dumps(self._describe()))
        assert self.pod.holder is not None
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/proc/{self.pod.holder.pid}/ns/net"),
                *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"),
                *(PYTHON, "-I", str(Path(__file__).with_name("enter.py")), str(file)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.process

    def first_process(self) -> int | None:
        """The command's own process, which is number 1 in there; None when it has ended."""
        if self.process is None or self.process.returncode is not None:
            return None
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def signal(self, number: signal.Signals) -> None:
        """As the runtime does."""
        pid = self.first_process()
        if pid is not None:
            os.kill(pid, number)

    async def execute(self, command: list[str]) -> int:
        """Run a command in the container, as `exec` probes and hooks do; its exit status."""
        while (pid := self.first_process()) is not None and not _is_inside(pid):
            await self.pod.cluster.news()
        if pid is None:
            return 137
        spec = self._describe()
        environment = [f"{name}={value}" for name, value in spec["environment"].items()]
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *("nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--root", "--wd"),
                *("env", "-i", *environment, "/usr/bin/setpriv", *spec["rights"], *command),
                stdout=log,
                stderr=log,
            )
        return await process.wait()

    def forget(self) -> None:
        """Remove what the kernel keeps of it."""
        if self._cgroup is not None:
            with contextlib.suppress(OSError):
                self._cgroup.rmdir()

    def _describe(self) -> dict[str, Any]:
        command = self.spec.get("command") or self._entrypoint
        environment = self._environment()
        if self.pod.slow:
            command = ["sh", "-c", f'sleep {self.pod.slow}; exec "$@"', "sh", *command]
        arguments = [_expand(word, environment) for word in [*command, *self.spec.get("args", [])]]
        security = {**self.pod.spec.get("securityContext", {}), **self.spec.get("securityContext", {})}
        limit = self.spec.get("resources", {}).get("limits", {}).get("memory")
        memory = int(quantity(limit)) if limit else 0
        return {
            "root": str(self.pod.folder / f"{self.name}.root"),
            "image": IMAGE,
            "links": {"/opt/postmeter": str(ENVIRONMENT), "/app": str(ENVIRONMENT)},
            "volumes": [*self.pod.mounts(self.spec), (str(self.pod.hosts), "/etc/hosts", True)],
            "read_only": bool(security.get("readOnlyRootFilesystem")),
            "rights": _rights(security),
            "cgroup": str(self._limit(memory)) if memory and self._limit(memory) else "",
            "memory": memory,
            "folder": self.spec.get("workingDir", "/"),
            "environment": environment,
            "command": arguments,
        }

    def _limit(self, memory: int) -> Path | None:
        """A cgroup with the limit, of version 2 or 1; None where there is none that can be written."""
        if self._cgroup is not None:
            return self._cgroup
        base, file = (_VERSION_2.parent, "memory.max") if _VERSION_2.exists() else (_VERSION_1, "memory.limit_in_bytes")
        folder = base / f"pmtest-{os.getpid()}-{self.pod.uid}-{self.name}"
        try:
            folder.mkdir()
            (folder / file).write_text(str(memory))
        except OSError:
            if folder.exists():
                folder.rmdir()
            return None
        self._cgroup = folder
        return folder

    def _environment(self) -> dict[str, str]:
        manifests = self.pod.cluster.manifests
        found = {"PATH": PATH, "PYTHONPATH": LEAN, "HOSTNAME": self.pod.name, "HOME": "/", **self.pod.service_links()}
        for source in self.spec.get("envFrom", []):
            for key, value in _source(manifests, source).items():
                found[source.get("prefix", "") + key] = value
        for entry in self.spec.get("env", []):
            text = self._value(manifests, entry)
            if text is not None:
                found[entry["name"]] = _expand(text, found)
        return found

    def _value(self, manifests: Manifests, entry: Doc) -> str | None:
        origin = entry.get("valueFrom")
        if origin is None:
            return str(entry.get("value", ""))
        if "fieldRef" in origin:
            return self.pod.field(origin["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in origin:
            path = origin["resourceFieldRef"]["resource"].split(".")
            return str(int(quantity(self.spec["resources"][path[0]][path[1]])))
        (kind, reference), *_ = origin.items()
        data = _source(manifests, {kind.replace("KeyRef", "Ref"): reference})
        if reference["key"] not in data and not reference.get("optional"):
            raise KeyError(f"{reference['name']} has no key {reference['key']}")
        return data.get(reference["key"])


def _is_inside(pid: int) -> bool:
    """Whether a process has gone into the file system that it makes for itself."""
    try:
        return os.stat(f"/proc/{pid}/root").st_dev != os.stat("/").st_dev
    except OSError:
        return False


def remove_leftovers() -> None:
    """Remove the limits of this process's containers, and of those of processes that were killed."""
    for folder in (*_VERSION_1.glob("pmtest-*"), *_VERSION_2.parent.glob("pmtest-*")):
        pid = folder.name.split("-")[1]
        if pid == str(os.getpid()) or not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(OSError):  # a process in it is just ending
                folder.rmdir()


def _source(manifests: Manifests, source: Doc) -> dict[str, str]:
    kind = "ConfigMap" if "configMapRef" in source else "Secret"
    reference = source.get("configMapRef") or source["secretRef"]
    if reference.get("optional") and not manifests.has(kind, reference["name"]):
        return {}
    found = contents(manifests.get(kind, reference["name"]))
    return {name: value.decode() for name, value in found.items()}


def _expand(text: str, values: dict[str, str]) -> str:
    """`$(NAME)` as Kubernetes does it: what is unknown stays, `$$(NAME)` is not expanded."""
    return re.sub(
        r"\$\$|\$\(([A-Za-z_][\w.-]*)\)",
        lambda found: "$" if found[0] == "$$" else values.get(found[1], found[0]),
        text,
    )


def _rights(security: Doc) -> list[str]:
    """Arguments of setpriv(1). No seccomp profile is set: that is the runtime's."""
    user, group = security.get("runAsUser", 0), security.get("runAsGroup", 0)
    if security.get("runAsNonRoot") and not user:
        raise ValueError("runAsNonRoot with a user that is root, or only the image's")
    groups = [str(security["fsGroup"])] if "fsGroup" in security else []
    groups += [str(one) for one in security.get("supplementalGroups", [])]
    found = [f"--reuid={user}", f"--regid={group}", f"--groups={','.join(groups)}" if groups else "--clear-groups"]
    if "ALL" in security.get("capabilities", {}).get("drop", []):
        found += ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    if security.get("allowPrivilegeEscalation") is False:
        found += ["--no-new-privs"]
    return found
