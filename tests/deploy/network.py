"""A network of the test's own: one bridge, a namespace for each pod, and a thread that lives on it.

Nothing of it is seen by the machine's other processes, and it is gone with the process that made it.
"""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

NEW_NETWORK = 0x40000000
GATEWAY = "10.244.0.1"
_BRIDGE = f"ip link set lo up; ip link add pods type bridge; ip addr add {GATEWAY}/16 dev pods; ip link set pods up"
_POD = """
ip link add "v$2" type veth peer name eth0 netns "$1"
ip link set "v$2" master pods up
exec nsenter --net="/proc/$1/ns/net" sh -ec '
ip link set lo up; ip addr add "$0/16" dev eth0; ip link set eth0 up; ip route add default via "$1"' "$3" "$4"
"""


LINGER = 15.0
"""Seconds that a pod's network outlives its processes: what they sent last may still be on its way."""


class Forbidden(Exception):
    """This process may not make namespaces."""


def check() -> None:
    """Raises Forbidden unless networks, mounts and processes of one's own are allowed here."""
    script = f"{_BRIDGE}; ip link add va type veth peer name vb; mount -t tmpfs x /mnt"
    try:
        subprocess.run(
            ["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-ec", script], check=True, capture_output=True
        )
    except FileNotFoundError as error:
        raise Forbidden(f"{error.filename} is missing") from None
    except subprocess.CalledProcessError as error:
        raise Forbidden(error.stderr.decode(errors="replace").strip()) from None


class Network:
    """The thread, its event loop and its network. Whatever is awaited by `run` listens and connects there."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._pods = 0
        self._services = 0
        self._holders: set[asyncio.subprocess.Process] = set()
        self._error: BaseException | None = None
        threading.Thread(target=self._live, daemon=True).start()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """Ends the thread and what still runs in it."""
        self.run(self._cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _cancel(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for holder in self._holders:
            _kill(holder)
        await asyncio.gather(*(holder.wait() for holder in self._holders))

    def _live(self) -> None:
        try:
            # Of this thread alone: its sockets, and the processes that it starts.
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(NEW_NETWORK) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            subprocess.run(["sh", "-ec", _BRIDGE], check=True)
        except BaseException as error:
            self._error = error
            return
        finally:
            self._ready.set()
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def add_service(self) -> str:
        """An address of a service: this side answers on it."""
        self._services += 1
        address = f"10.96.0.{self._services}"
        await _do("ip", "addr", "add", f"{address}/32", "dev", "lo")
        return address

    async def add_pod(self) -> tuple[asyncio.subprocess.Process, str]:
        """The process that holds a new pod's network, and the pod's address."""
        self._pods += 1
        number = self._pods
        address = f"10.244.{1 + number // 250}.{1 + number % 250}"
        holder = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo; exec sleep infinity"),
            stdout=asyncio.subprocess.PIPE,
        )
        self._holders.add(holder)
        assert holder.stdout is not None
        await holder.stdout.readline()
        await _do("sh", "-ec", _POD, "sh", str(holder.pid), str(number), address, GATEWAY)
        return holder, address

    def remove_pod(self, holder: asyncio.subprocess.Process) -> None:
        """Take a pod's network away in a while."""

        self._loop.call_later(LINGER, _kill, holder)


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()


async def _do(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait() != 0:
        raise RuntimeError(f"failed: {command}")
