"""The Postgres of each process of a test run: a copy of one that the first of them has made."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from postmeter.cli.local.servers.binaries import find_postgres
from postmeter.cli.local.servers.postgres_server import PostgresServer
from tests.databases import execute, make_template
from tests.product import PREPARED

TEMPLATE = "template_of_tests"
"""The database in it that has every migration, and the services' roles."""
# The machine's crash is not a test case here; a process's crash loses nothing without fsync.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}
PASSWORD = "that-of-the-tests"  # a copy has its original's; its socket is in a folder of its own
QUICK_PASSWORD = f"SET scram_iterations = 1; ALTER ROLE CURRENT_USER PASSWORD '{PASSWORD}'"
"""It is hashed once instead of 4096 times, by each of some ten thousand connections. Before 16 Postgres has no such
setting."""

Run = Callable[[Coroutine[Any, Any, Any]], object]


def copied(folder: Path, run: Run) -> PostgresServer:
    """One in `folder`, which is not started yet. The first to ask in a run makes what is copied, by `run`."""
    shared = Path(os.environ[PREPARED])
    with (shared / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "cluster").exists():
            _make(shared, run)
    subprocess.run(["cp", "-a", str(shared / "cluster"), str(folder / "postgres")], check=True)
    return _server(folder)


def _make(shared: Path, run: Run) -> None:
    folder = Path(tempfile.mkdtemp(dir=shared))
    folder.chmod(0o711)
    server = _server(folder)
    server.start()
    run(make_template(server.dsn(), TEMPLATE))
    if int((folder / "postgres" / "PG_VERSION").read_text()) >= 16:
        run(execute(server.dsn(), QUICK_PASSWORD))
    server.stop()
    (folder / "postgres").rename(shared / "cluster")


def _server(folder: Path) -> PostgresServer:
    return PostgresServer(
        binaries=find_postgres(),
        data=folder / "postgres",
        sockets=folder,
        log=folder / "postgres.log",
        password=PASSWORD,
        settings=SETTINGS,
    )
