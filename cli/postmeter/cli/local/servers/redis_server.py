"""A real Redis-compatible server of our own, reached by a Unix socket only."""

import os
import signal
import time
from pathlib import Path
from urllib.parse import quote

import redis

from postmeter.cli.local.errors import StartError
from postmeter.cli.local.folders import make_folder
from postmeter.cli.local.processes.process import Process, log_tail, spawn

# For the next writes. Below it the server is better off not started.
LEAST_FREE_BYTES = 1 << 20


class RedisServer:
    """One server in a folder of its own. Every method blocks; errors are LocalError.

    `durable` (the default) syncs every append to disk before it is acknowledged: an answered hit survives
    a power cut. Full memory refuses writes; nothing is ever evicted.
    """

    def __init__(
        self, *, binary: Path, data: Path, sockets: Path, log: Path, memory: str = "512mb", durable: bool = True
    ) -> None:
        self._binary = binary
        self._data = data.absolute()
        self._socket = sockets.absolute() / "redis.sock"
        self.log = log.absolute()
        self._memory = memory
        self._durable = durable
        self.process: Process | None = None

    def __repr__(self) -> str:
        return f"RedisServer(data={str(self._data)!r})"

    @property
    def url(self) -> str:
        """The connection URL."""
        return f"unix://{quote(str(self._socket), safe='/')}?db=0"

    @property
    def pid(self) -> int:
        """The server's process id. Only while started."""
        assert self.process is not None, "not started"
        return self.process.pid

    def start(self, timeout: float = 60.0) -> Process:
        """Start the server and return once it has loaded its data and answers."""
        make_folder(self._data, 0o700)
        self._refuse_full_disk()
        self._socket.unlink(missing_ok=True)
        with self.log.open("ab") as output:
            self.process = spawn("redis", [str(self._binary), *self._arguments()], output=output)
        self._wait_ready(timeout)
        return self.process

    def stop(self) -> None:
        """Shut down cleanly: what was acknowledged is on disk."""
        if self.process is not None:
            self.process.stop(signal.SIGTERM, timeout=30.0)

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would."""
        assert self.process is not None, "not started"
        self.process.kill()

    def _arguments(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "daemonize": "no",
            "save": "",  # the append-only file is the truth; snapshots would only cost
            "appendonly": "yes",
            "appendfsync": "always" if self._durable else "no",
            "aof-load-truncated": "yes",
            "maxmemory": self._memory,
            "maxmemory-policy": "noeviction",
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    def _refuse_full_disk(self) -> None:
        """On a full disk it would start, load everything and end at its first write, again and again."""
        disk = os.statvfs(self._data)
        free = disk.f_bavail * disk.f_frsize
        if free < LEAST_FREE_BYTES:
            raise StartError(
                f"Redis is not started: the disk of {self._data} is full; {LEAST_FREE_BYTES} bytes must be free"
            )

    def _wait_ready(self, timeout: float) -> None:
        assert self.process is not None
        deadline = time.monotonic() + timeout
        with redis.Redis.from_url(self.url, socket_timeout=2.0) as client:
            while True:
                try:
                    client.ping()
                    return
                except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, OSError):
                    pass
                if self.process.returncode is not None:
                    raise StartError(f"Redis did not start; the end of {self.log}:\n{log_tail(self.log)}")
                if time.monotonic() > deadline:
                    self.process.kill()
                    raise StartError(f"Redis was not ready after {timeout:.0f} s, see {self.log}")
                time.sleep(0.02)
