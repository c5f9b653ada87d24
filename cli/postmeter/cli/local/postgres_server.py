"""A real Postgres of our own, reached by a Unix socket only."""

import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from postmeter.cli.local import child
from postmeter.cli.local.errors import DataDirectoryError, LocalError, StartError
from postmeter.cli.local.folders import make_folder, open_to_all
from postmeter.cli.local.process import Process, log_tail, spawn

USER = "postmeter"
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
    """One cluster in a folder of its own. Every method blocks; errors are LocalError."""

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
        self._log = log.absolute()
        self._password = password
        self._settings = {**_SETTINGS, **(settings or {})}
        self.process: Process | None = None

    def __repr__(self) -> str:
        return f"PostgresServer(data={str(self._data)!r})"

    def dsn(self, database: str = "postgres") -> str:
        """Return a connection URL, with the password."""
        secret, host = quote(self._password, safe=""), quote(str(self._sockets), safe="/")
        return f"postgresql://{USER}:{secret}@/{database}?host={host}"

    @property
    def pid(self) -> int:
        """The postmaster's process id. Only while started."""
        assert self.process is not None, "not started"
        return self.process.pid

    def start(self, timeout: float = 60.0) -> Process:
        """Make the cluster if there is none, start the server and return once it takes connections."""
        owner = self._owner()
        make_folder(self._sockets, 0o700, owner)
        if not (self._data / "PG_VERSION").exists():
            self._initialise(owner)
        self._check_version()
        self._clear_stale_lock(timeout)
        arguments: list[str] = [str(self._binaries / "postgres"), "-D", str(self._data)]
        for name, value in {**self._settings, "unix_socket_directories": str(self._sockets)}.items():
            arguments += ["-c", f"{name}={value}"]
        with self._log.open("ab") as output:
            # SIGQUIT: every backend leaves at once; the write-ahead log has all that was committed.
            self.process = spawn(
                "postgres",
                arguments,
                output=output,
                user=self._launch_user(owner),
                death_signal=signal.SIGQUIT,
                environ=_clean_environment(),
            )
        self._wait_ready(timeout)
        return self.process

    def stop(self) -> None:
        """Shut down cleanly: open sessions are rolled back, a checkpoint is written."""
        if self.process is not None:
            self.process.stop(signal.SIGINT, timeout=30.0)

    def kill(self) -> None:
        """End the postmaster with SIGKILL, as a crash would."""
        assert self.process is not None, "not started"
        self.process.kill()

    def _owner(self) -> tuple[int, int] | None:
        """Return uid and gid to run under when we are root, whom Postgres refuses; else None."""
        if os.geteuid() != 0:
            return None
        if self._data.exists() and self._data.stat().st_uid != 0:
            found = self._data.stat()
            return found.st_uid, found.st_gid
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise LocalError("Postgres does not run as root, and there is no user `nobody` to run it as") from None
        return nobody.pw_uid, nobody.pw_gid

    def _launch_user(self, owner: tuple[int, int] | None) -> str:
        if owner is None:
            return "-"
        closed = [p for p in (self._data, self._sockets, self._binaries / "postgres") if not open_to_all(p)]
        if not closed:
            return f"{owner[0]}:{owner[1]}"
        if child.search_capability() is None:
            raise DataDirectoryError(
                f"Postgres does not run as root, and the user it runs as cannot reach {closed[0]}: "
                "choose another place, or start as a normal user"
            )
        return f"{owner[0]}:{owner[1]}:search"

    def _initialise(self, owner: tuple[int, int] | None) -> None:
        """Make a cluster beside its final place and move it there, so that none is ever half made."""
        fresh = self._data.with_name(self._data.name + ".new")
        if fresh.exists():
            _remove_tree(fresh)
        make_folder(fresh, 0o700, owner)
        secret = fresh.with_name("password.tmp")
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self._password + "\n")
        if owner is not None:
            os.chown(secret, *owner)
        try:
            with self._log.open("ab") as output:
                process = spawn(
                    "initdb",
                    [
                        *(str(self._binaries / "initdb"), "-D", str(fresh), "-U", USER, "-E", "UTF8"),
                        *("--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-instructions"),
                    ],
                    output=output,
                    user=self._launch_user(owner),
                    environ=_clean_environment(),
                )
            if not process.wait(120.0):
                process.kill()
            if process.returncode != 0:
                raise StartError(f"initdb failed; the end of {self._log}:\n{log_tail(self._log)}")
        finally:
            secret.unlink(missing_ok=True)
        if self._data.exists():
            self._data.rmdir()  # an empty folder left by somebody; one with files is an error
        fresh.rename(self._data)

    def _check_version(self) -> None:
        have = (self._data / "PG_VERSION").read_text().strip()
        answer = subprocess.run([self._binaries / "postgres", "--version"], capture_output=True, text=True, check=False)
        match = re.search(r"(\d+)(?:[.\w]*)", answer.stdout.partition(")")[2])
        if match is None:
            raise StartError(f"{self._binaries}/postgres does not run: {answer.stderr.strip()}")
        if match[1] != have:
            raise DataDirectoryError(
                f"{self._data} was written by Postgres {have}, but {self._binaries} holds Postgres {match[1]}"
            )

    def _clear_stale_lock(self, timeout: float) -> None:
        """Remove postmaster.pid when its process is not a Postgres of this folder.

        After a crash the number may belong to anything (in a container it mostly does), and Postgres would
        then refuse to start. One that is still shutting down is waited for. The caller holds the data
        directory's lock, so nobody else is starting one.
        """
        lock = self._data / "postmaster.pid"
        deadline = time.monotonic() + timeout
        while lock.exists():
            lines = lock.read_text().splitlines()
            pid = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
            if sys.platform == "linux" and not _works_in(pid, self._data):
                lock.unlink(missing_ok=True)
                return
            if sys.platform != "linux":
                return
            if time.monotonic() > deadline:
                raise DataDirectoryError(f"process {pid}, a Postgres on {self._data}, does not end")
            time.sleep(0.05)

    def _wait_ready(self, timeout: float) -> None:
        """Wait for the word that the postmaster writes into its pid file; pg_ctl waits for the same."""
        assert self.process is not None
        deadline = time.monotonic() + timeout
        lock = self._data / "postmaster.pid"
        while True:
            lines = lock.read_text().splitlines() if lock.exists() else []
            if len(lines) > 7 and lines[0].strip() == str(self.process.pid) and lines[7].strip() == "ready":
                return
            if self.process.returncode is not None:
                raise StartError(f"Postgres did not start; the end of {self._log}:\n{log_tail(self._log)}")
            if time.monotonic() > deadline:
                self.process.kill()
                raise StartError(f"Postgres was not ready after {timeout:.0f} s, see {self._log}")
            time.sleep(0.02)


def _works_in(pid: int, folder: Path) -> bool:
    """Return whether the process exists and has the folder as its working directory, as a postmaster has."""
    try:
        return pid > 0 and Path(f"/proc/{pid}/cwd").resolve() == folder.resolve()
    except OSError:
        return False


def _clean_environment() -> dict[str, str]:
    """Return our environment without what would change a Postgres (PGDATA, PGPORT, PGOPTIONS, locales)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


def _remove_tree(path: Path) -> None:
    for folder, _, files in os.walk(path, topdown=False):
        for name in files:
            (Path(folder) / name).unlink()
        for entry in Path(folder).iterdir():
            entry.unlink() if entry.is_symlink() else entry.rmdir()
    path.rmdir()
