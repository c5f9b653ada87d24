"""The whole product as a user starts it: `postmeter up` as a process of its own, and what one needs to watch it."""

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from postmeter.cli.local.ports import HeldPorts

T = TypeVar("T")

PATIENCE = 150.0
"""Seconds after which a condition counts as one that will not come; a busy machine takes long, and fails no test."""


_held: deque[tuple[HeldPorts, int]] = deque(maxlen=500)


def free_port() -> int:
    """A port that stays this process's own (the newest 500 of them do), whether something listens on it or not."""
    holder = HeldPorts()
    _held.append((holder, holder.free()))
    return _held[-1][1]


async def reachable(port: int, task: "asyncio.Task[None]") -> None:
    """Returns once something listens on `port`, or raises what ended the task, which is the service that should.

    No test asks a service's port before this, or `answers` of a process, has said so.
    """
    while not task.done():
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return
    task.result()


def answers(ops_port: int) -> bool:
    """Whether the ops port of a service that is a process of its own answers; for `wait_for`."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{ops_port}/healthz", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(what: str, probe: Callable[[], T | None], seconds: float = PATIENCE) -> T:
    """The first result of `probe` that is neither None nor False; fails after `seconds`.

    What lasts is asked less and less often: to ask takes time from what is waited for.
    """
    deadline = time.monotonic() + seconds
    pause = 0.02
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} seconds in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.25, 0.25)


def as_installed() -> dict[str, str]:
    """Our environment, for a process of the product: it finds its own libraries only (tests/lean/sitecustomize.py)."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent / "lean")}


class Product:
    """A running `postmeter up`, or another command that does as much: its ready.json, its processes, its output."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.data = folder / "data"
        self.output = folder / "output.txt"
        arguments = [str(Path(sys.executable).with_name("postmeter")), *(command or ("up",)), "--data", str(self.data)]
        arguments += ["--port", "0", "--tracking-port", "0"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(arguments, env=as_installed(), stdout=output, stderr=subprocess.STDOUT)
        self.ready: dict[str, Any] = wait_for("ready.json", self._ready)

    def _ready(self) -> dict[str, Any] | None:
        if self.process.poll() is not None:
            raise AssertionError(f"postmeter ended: {self.output.read_text()}")
        file = self.data / "ready.json"
        return json.loads(file.read_text()) if file.exists() else None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.ready['api_key']}"}

    def pid_of(self, words: str) -> int | None:
        """The oldest process below this one whose command line holds `words`."""
        for pid in sorted(descendants(self.process.pid)):
            if words in command_line(pid):
                return pid
        return None

    def kill(self, words: str) -> int:
        """SIGKILL to the process that `pid_of` names, once it is there."""
        pid = wait_for(f"a process with {words!r}", lambda: self.pid_of(words))
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def descendants(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = {root}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {root}


PREPARED = "POSTMETER_TEST_PREPARED"
"""Names a folder that the processes of one run of the tests share (tests/conftest.py)."""


def prepare(data: Path) -> None:
    """Copy what a first start makes to `data`: it takes longer than all else that most tests do with a product.

    The first to ask makes it, by a first start. Without a shared folder, or with servers of the test's own, it does
    nothing.
    """
    shared = os.environ.get(PREPARED)
    own_servers = {"POSTMETER_POSTGRES_DSN", "POSTMETER_REDIS_URL"} & os.environ.keys()
    if shared is None or own_servers or data.exists():
        return
    with (Path(shared) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Path(shared) / "made"
        if not made.exists():
            folder = Path(tempfile.mkdtemp(dir=shared))
            folder.chmod(0o711)
            assert Product(folder).stop() == 0
            (folder / "data").rename(made)
    subprocess.run(["cp", "-a", str(made), str(data)], check=True)


@contextmanager
def running(folder: Path, *command: str, first: bool = False) -> Iterator[Product]:
    """A product that runs for the `with` block, in `folder`. first: its first start is the test's subject."""
    if not first:
        prepare(folder / "data")
    product = Product(folder, *command)
    try:
        yield product
    finally:
        if product.process.poll() is None:
            product.stop()
