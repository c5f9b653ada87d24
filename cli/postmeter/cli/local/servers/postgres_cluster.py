"""The files of a Postgres cluster: made whole, checked, freed of what a crash left."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from postmeter.cli.local.errors import DataDirectoryError, StartError
from postmeter.cli.local.folders import make_folder
from postmeter.cli.local.processes.process import log_tail, spawn
from postmeter.cli.local.servers.server_user import ServerUser

SUPERUSER = "postmeter"
INITDB_SECONDS = 120.0


def initialise(binaries: Path, data: Path, user: ServerUser, password: str, log: Path) -> None:
    """Make a cluster beside its final place and move it there, so that none is ever half made.

    Raises StartError with the end of the log, or DataDirectoryError when the place holds something else.
    """
    if data.exists() and any(data.iterdir()):
        raise DataDirectoryError(f"{data} holds files, but no Postgres cluster")
    fresh = data.with_name(data.name + ".new")
    if fresh.exists():
        shutil.rmtree(fresh)
    make_folder(fresh, 0o700, user.owner)
    secret = _password_file(data.with_name("password.tmp"), user, password)
    arguments = ["-D", str(fresh), "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "--no-instructions"]
    arguments += ["--auth=scram-sha-256", f"--pwfile={secret}"]
    try:
        with log.open("ab") as output:
            process = spawn(
                "initdb",
                [str(binaries / "initdb"), *arguments],
                output=output,
                user=user.launch,
                environ=clean_environment(),
            )
        if not process.wait(INITDB_SECONDS):
            process.kill()
    finally:
        secret.unlink(missing_ok=True)
    if process.returncode != 0:
        raise StartError(f"initdb failed; the end of {log}:\n{log_tail(log)}")
    fresh.rename(data)


def check_version(binaries: Path, data: Path) -> None:
    """Raise DataDirectoryError unless the binaries are of the version that wrote the cluster."""
    wrote = (data / "PG_VERSION").read_text().strip()
    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"\) (\d+)", answer.stdout)
    if match is None:
        raise StartError(f"{binaries}/postgres does not run: {answer.stderr.strip()}")
    if match[1] != wrote:
        raise DataDirectoryError(f"{data} was written by Postgres {wrote}, but {binaries} holds Postgres {match[1]}")


def clear_stale_lock(data: Path, timeout: float) -> None:
    """Remove postmaster.pid when its process is not a Postgres of this folder.

    After a crash the number may belong to anything (in a container it mostly does), and Postgres would then
    refuse to start. One that is still shutting down is waited for. The caller holds the data directory's
    lock, so nobody else is starting one. Elsewhere than on Linux Postgres' own check has to do.
    """
    lock = data / "postmaster.pid"
    deadline = time.monotonic() + timeout
    while sys.platform == "linux" and (lines := pid_lines(data)):
        pid = int(lines[0]) if lines[0].strip().isdigit() else 0
        if not _works_in(pid, data):
            lock.unlink(missing_ok=True)
            return
        if time.monotonic() > deadline:
            raise DataDirectoryError(f"process {pid}, a Postgres on {data}, does not end")
        time.sleep(0.05)


def pid_lines(data: Path) -> list[str]:
    """Return the lines of postmaster.pid: the first is the process id, the eighth the server's state."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def clean_environment() -> dict[str, str]:
    """Return our environment without what would change a Postgres (PGDATA, PGPORT, PGOPTIONS, locales)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


def _password_file(path: Path, user: ServerUser, password: str) -> Path:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(password + "\n")
    if user.owner is not None:
        os.chown(path, *user.owner)
    return path


def _works_in(pid: int, folder: Path) -> bool:
    """Return whether the process exists and has the folder as its working directory, as a postmaster has."""
    try:
        return pid > 0 and Path(f"/proc/{pid}/cwd").resolve() == folder.resolve()
    except OSError:
        return False
