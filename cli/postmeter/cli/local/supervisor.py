"""The foreground process of `postmeter up`: starts everything, keeps it running, stops it in order."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from postmeter.cli.local import database, services, vault
from postmeter.cli.local.companion import Companion
from postmeter.cli.local.errors import LocalError
from postmeter.cli.local.folders import make_folder
from postmeter.cli.local.lock import DirectoryLock
from postmeter.cli.local.ports import HeldPorts
from postmeter.cli.local.processes.drain import wait_drained
from postmeter.cli.local.processes.member import Member
from postmeter.cli.local.processes.readiness import wait_ready
from postmeter.cli.local.ready_file import Ready, ReadyFile
from postmeter.cli.local.stores import Stores

POLL_SECONDS = 0.1
START_SECONDS = 60.0
Say = Callable[[str], None]


class StopRequested(BaseException):
    """SIGTERM or SIGINT came. Not an Exception: nothing on the way may swallow it."""


class Supervisor:
    """Runs the whole product on one data directory."""

    def __init__(
        self, data: Path, gateway_port: int, tracking_port: int, say: Say, companion: Companion | None = None
    ) -> None:
        self._data = data.absolute()
        self._asked = (gateway_port, tracking_port)
        self._say = say
        self._companion = companion
        self._stopping = False
        self._ports = HeldPorts()
        self._members: dict[str, Member] = {}
        self._stores: Stores | None = None
        self._ready_file = ReadyFile(self._data)

    def run(self, announce: Callable[[Ready], None]) -> None:
        """Start everything, announce it, stay until a signal asks to stop, stop everything.

        Raises LocalError or PostmeterError when something does not start; nothing is left running then.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        with DirectoryLock(self._data):
            try:
                ready = self._start()
                self._ready_file.write(ready)
                announce(ready)
                self._start_companion()
                while True:
                    time.sleep(POLL_SECONDS)
                    for member in self._members.values():
                        member.watch()
            except StopRequested:
                self._say("stopping ...")
            finally:
                self._stopping = True  # from here on signals are ignored: a second Ctrl-C loses nothing
                self._stop()
        self._say(f"stopped; everything is kept in {self._data}")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self._stopping:
            self._stopping = True
            raise StopRequested

    def _start(self) -> Ready:
        self._ready_file.remove()
        gateway, tracking = self._asked
        if gateway == tracking != 0:
            raise LocalError(f"--port and --tracking-port are both {gateway}; they must differ")
        chosen = services.choose_ports(self._ports, gateway, tracking)
        first = not (self._data / vault.FILE).exists()
        secrets = vault.load_or_create(self._data)
        self._stores = Stores(self._data, secrets)
        if first:
            self._say(f"first start: making everything in {self._data}")
        workspace = self._companion.workspace if self._companion else database.DEFAULT
        self._start_stores(self._stores, secrets)
        self._stores.check_redis()
        with self._step("schema"):
            asyncio.run(database.prepare(self._stores.postgres_dsn, secrets, workspace))
        self._start_services(self._stores, chosen, secrets)
        link = asyncio.run(database.sign_in_link(self._stores.postgres_dsn, workspace.id, services.gateway_url(chosen)))
        return Ready(
            gateway=services.url(chosen.gateway),
            tracking=services.url(chosen.tracking),
            workspace=workspace.id,
            api_key=secrets.key_of(workspace.id).reveal(),
            dashboard=link,
            ops={name: services.url(chosen.ops[name]) for name in services.STOP_ORDER},
        )

    def _start_stores(self, stores: Stores, secrets: vault.Vault) -> None:
        if stores.postgres is not None:
            with self._step("Postgres"):
                self._add(Member("postgres", stores.postgres.start, self._say, signal.SIGINT, stores.postgres.log))
                asyncio.run(database.ensure_database(stores.postgres, secrets))
        if stores.redis is not None:
            with self._step("Redis"):
                self._add(Member("redis", stores.redis.start, self._say, log=stores.redis.log))

    def _start_services(self, stores: Stores, chosen: services.Ports, secrets: vault.Vault) -> None:
        # It holds hits, with addresses and user agents of people.
        make_folder(self._data / "spool", 0o700)
        more = self._companion.prepare(self._data) if self._companion else {}
        for name in services.START_ORDER:
            environ = services.environment(
                name,
                ports=chosen,
                data=self._data,
                vault=secrets,
                postgres_dsn=stores.postgres_dsn_of(name),
                redis_url=stores.redis_url,
                more=more,
            )
            self._add(Member(name, services.starter(name, environ), self._say))
        for name in services.START_ORDER:
            with self._step(name):
                process = self._members[name].process
                assert process is not None
                wait_ready(process, chosen.ops[name], START_SECONDS)

    def _start_companion(self) -> None:
        companion = self._companion
        if companion is not None:
            self._add(Member(companion.name, lambda: companion.start(self._data), self._say))

    def _add(self, member: Member) -> None:
        self._members[member.name] = member
        member.start()

    def _stop(self) -> None:
        self._ready_file.remove()
        companion = (self._companion.name,) if self._companion else ()
        for name in (*companion, *services.STOP_ORDER, "redis", "postgres"):
            member = self._members.get(name)
            if member is None:
                continue
            if name == "aggregator" and self._stores is not None:
                wait_drained(self._stores.postgres_dsn, self._stores.redis_url, member)
            member.stop()

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._say(f"{name} is ready ({time.monotonic() - began:.1f} s)")
