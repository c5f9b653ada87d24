"""A real Postgres of our own, reached by a Unix socket only."""

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from postmeter.cli.local.errors import StartError
from postmeter.cli.local.folders import make_folder
from postmeter.cli.local.processes.process import Process, log_tail, spawn
from postmeter.cli.local.servers import postgres_cluster
from postmeter.cli.local.servers.server_user import ServerUser, server_user

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",  # our queries are short; compiling them costs more than it gains
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer:
    """One cluster in a folder of its own. Every method blocks; errors are LocalError.

    `sockets` is the folder for socket_folder(); `settings` go on top of ours.
    """

    def __init__(
        self,
        *,
        binaries: Path,
        data: Path,
        sockets: Path,
        log: Path,
        password: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._binaries = binaries
        self._data = data.absolute()
        self._sockets = sockets.absolute() / "pg"
        self.log = log.absolute()
        self._password = password
        self._settings = {**_SETTINGS, **(settings or {}), "unix_socket_directories": str(self._sockets)}
        self.process: Process | None = None

    def __repr__(self) -> str:
        return f"PostgresServer(data={str(self._data)!r})"

    def dsn(
        self, database: str = "postgres", role: str = postgres_cluster.SUPERUSER, password: str | None = None
    ) -> str:
        """Return a connection URL, with the password; the superuser's where no role is given."""
        secret = quote(self._password if password is None else password, safe="")
        host = quote(str(self._sockets), safe="/")
        return f"postgresql://{role}:{secret}@/{database}?host={host}"

    @property
    def pid(self) -> int:
        """The postmaster's process id. Only while started."""
        assert self.process is not None, "not started"
        return self.process.pid

    def start(self, timeout: float = 60.0) -> Process:
        """Make the cluster if there is none, start the server and return once it takes connections."""
        user = server_user(self._data, (self._data, self._sockets, self._binaries / "postgres"))
        make_folder(self._sockets, 0o700, user.owner)
        if not (self._data / "PG_VERSION").exists():
            postgres_cluster.initialise(self._binaries, self._data, user, self._password, self.log)
        postgres_cluster.check_version(self._binaries, self._data)
        postgres_cluster.clear_stale_lock(self._data, timeout)
        self.process = self._spawn(user)
        self._wait_ready(self.process, timeout)
        return self.process

    def stop(self) -> None:
        """Shut down cleanly: open sessions are rolled back, a checkpoint is written."""
        if self.process is not None:
            self.process.stop(signal.SIGINT, timeout=30.0)

    def kill(self) -> None:
        """End the postmaster with SIGKILL, as a crash would."""
        assert self.process is not None, "not started"
        self.process.kill()

    def _spawn(self, user: ServerUser) -> Process:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as output:
            return spawn(
                "postgres",
                [str(self._binaries / "postgres"), "-D", str(self._data), *options],
                output=output,
                user=user.launch,
                environ=postgres_cluster.clean_environment(),
                # Every backend leaves at once; the write-ahead log has all that was committed.
                death_signal=signal.SIGQUIT,
            )

    def _wait_ready(self, process: Process, timeout: float) -> None:
        """Wait for the word that the postmaster writes into its pid file; pg_ctl waits for the same."""
        deadline = time.monotonic() + timeout
        while True:
            lines = postgres_cluster.pid_lines(self._data)
            if len(lines) > 7 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready":
                return
            if process.returncode is not None:
                raise StartError(f"Postgres did not start; the end of {self.log}:\n{log_tail(self.log)}")
            if time.monotonic() > deadline:
                process.kill()
                raise StartError(f"Postgres was not ready after {timeout:.0f} s, see {self.log}")
            time.sleep(0.02)
