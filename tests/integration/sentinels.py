"""Redis with a replica, and a Sentinel that watches them: real servers on loopback, which a test may kill and stop."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import redis

from postmeter.cli.local.processes.process import Process, spawn
from postmeter.cli.local.servers.binaries import find_redis
from tests.integration.certificates import Authority, Certificate
from tests.missing import lack
from tests.product import free_port, wait_for

NAME = "hits"
PASSWORD = "of-the-master"
SENTINEL_PASSWORD = "of-the-sentinel"
_SERVER = {
    "bind": "127.0.0.1",
    "save": "",
    "appendonly": "no",
    "repl-diskless-sync": "yes",
    "repl-diskless-sync-delay": "0",
    "requirepass": PASSWORD,
    "masterauth": PASSWORD,
}
_SENTINEL = f"""bind 127.0.0.1
sentinel monitor {NAME} 127.0.0.1 {{master}} 1
sentinel auth-pass {NAME} {PASSWORD}
sentinel down-after-milliseconds {NAME} 1000
sentinel failover-timeout {NAME} 2000
requirepass {SENTINEL_PASSWORD}
"""


class Sentinels:
    """Servers by their ports. `nobody`: a port on which no Sentinel listens, which the URL names first.

    authority: all of them speak TLS, and to whom it vouches for alone; then the server is one that can.
    """

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        self._folder = folder
        self._binary = find_redis() if authority is None else _redis_with_tls()
        self._tls = {} if authority is None else _files(authority, authority.vouch("127.0.0.1"))
        self._processes: dict[int, Process] = {}
        self.nobody, self.sentinel = free_port(), free_port()
        self.first, self.second = free_port(), free_port()
        self.start(self.first)
        self.start(self.second, self.first)
        wait_for("a replica", lambda: self._is_replica(self.second))
        config = folder / "sentinel.conf"
        config.write_text(_SENTINEL.format(master=self.first))
        listens = _options(self._listening(self.sentinel))
        self._run(self.sentinel, [str(config), "--sentinel", *listens, "--dir", str(folder)])
        wait_for("a Sentinel that knows the replica", self._knows_the_replica)

    @property
    def url(self) -> str:
        """As an operator would give it."""
        places = f"127.0.0.1:{self.nobody},127.0.0.1:{self.sentinel}"
        scheme = "rediss+sentinel" if self._tls else "redis+sentinel"
        options = urlencode({"sentinel_password": SENTINEL_PASSWORD, **self._of_client})
        return f"{scheme}://:{PASSWORD}@{places}/{NAME}?{options}"

    def url_of(self, port: int) -> str:
        """Of one server, whatever it is."""
        scheme = "rediss" if self._tls else "redis"
        return f"{scheme}://:{PASSWORD}@127.0.0.1:{port}?{urlencode(self._of_client)}"

    @property
    def _of_client(self) -> dict[str, str]:
        """redis-py's options for TLS, as they stand in URLs."""
        names = {"ssl_ca_certs": "tls-ca-cert-file", "ssl_certfile": "tls-cert-file", "ssl_keyfile": "tls-key-file"}
        return {name: self._tls[ours] for name, ours in names.items() if self._tls}

    def _listening(self, port: int) -> dict[str, str]:
        if not self._tls:
            return {"port": str(port)}
        return {"port": "0", "tls-port": str(port), "tls-replication": "yes", **self._tls}

    def start(self, port: int, master: int | None = None) -> None:
        """A server, or a replica of `master`."""
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        settings = _SERVER | self._listening(port) | {"dir": str(folder)}
        if master is not None:
            settings["replicaof"] = f"127.0.0.1 {master}"
        self._run(port, _options(settings))
        wait_for("a server", lambda: self.asked(port, "ping"))

    def kill(self, port: int) -> None:
        """As a crash would."""
        self._processes.pop(port).kill()

    def pause(self, port: int) -> None:
        """It is silent, and its connections stay."""
        os.kill(self._processes[port].pid, signal.SIGSTOP)

    def go_on(self, port: int) -> None:
        os.kill(self._processes[port].pid, signal.SIGCONT)

    def cut(self, replica: int) -> None:
        """It gets nothing any more, and its master knows of none."""
        self.asked(replica, "CONFIG SET masterauth wrong")
        self.asked(replica, "CLIENT KILL TYPE master")

    def mend(self, server: int) -> None:
        self.asked(server, f"CONFIG SET masterauth {PASSWORD}")

    def close(self) -> None:
        """End them all."""
        for process in self._processes.values():
            process.kill()

    def master(self) -> int | None:
        """The port of the one that Sentinel says, once it says so itself."""
        told = self._sentinel("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        port = int(told[1])
        role = self.asked(port, "role")
        return port if role and role[0] == b"master" else None

    def roles(self) -> tuple[int, int]:
        """The ports of the master, and of the replica once it is one."""
        wait_for("a master", lambda: self.master() is not None)
        master = self.master()
        assert master is not None
        replica = self.second if master == self.first else self.first
        wait_for("a replica", lambda: self._is_replica(replica))
        return master, replica

    def asked(self, port: int, command: str) -> Any:
        """What a server says; None where it does not answer."""
        with suppress(redis.RedisError), redis.Redis.from_url(self.url_of(port), socket_timeout=5.0) as client:
            return client.execute_command(*command.split())

    def _is_replica(self, port: int) -> bool:
        role = self.asked(port, "role")
        return bool(role) and role[0] == b"slave" and role[3] == b"connected"

    def _knows_the_replica(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self._sentinel("SENTINEL", "REPLICAS", NAME))
        return False

    def _sentinel(self, *command: str) -> Any:
        options: Any = {"ssl": True, **self._of_client} if self._tls else {}
        with redis.Redis("127.0.0.1", self.sentinel, password=SENTINEL_PASSWORD, protocol=2, **options) as client:
            return client.execute_command(*command)

    def _run(self, port: int, arguments: list[str]) -> None:
        with (self._folder / f"{port}.log").open("ab") as output:
            self._processes[port] = spawn("redis", [str(self._binary), *arguments], output=output)


def _options(settings: dict[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in (f"--{name}", *_words(name, value))]


def _words(name: str, value: str) -> list[str]:
    return value.split(" ") if name == "replicaof" else [value]


def _files(authority: Authority, of: Certificate) -> dict[str, str]:
    """The servers' settings."""
    return {
        "tls-ca-cert-file": str(authority.certificate),
        "tls-cert-file": str(of.certificate),
        "tls-key-file": str(of.key),
    }


def _redis_with_tls() -> Path:
    """The wheel's server has none."""
    found = shutil.which("redis-server")
    return Path(found) if found else lack("no redis-server, which can do TLS; install Debian's redis-server")


@contextmanager
def sentinels(folder: Path, authority: Authority | None = None) -> Iterator[Sentinels]:
    """They end with the block."""
    made = Sentinels(folder, authority)
    try:
        yield made
    finally:
        made.close()
