"""The servers of local mode: data survives, nothing outlives its parent, mistakes are clear."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis

from postmeter.cli.local.errors import DataDirectoryError, StartError
from postmeter.cli.local.folders import socket_folder
from postmeter.cli.local.servers.binaries import find_postgres
from postmeter.cli.local.servers.postgres_server import PostgresServer
from tests.integration.servers_in import postgres_in, redis_in
from tests.product import descendants, wait_for

PARENT = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.integration.servers_in import postgres_in, redis_in
folder = Path(sys.argv[1])
postgres_in(folder).start()
redis_in(folder).start()
print("started", flush=True)
signal.pause()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose parent only we can enter, as a home directory often is."""
    closed = Path(tempfile.mkdtemp(prefix="pm-"))
    assert closed.stat().st_mode & 0o777 == 0o700
    (closed / "data").mkdir()
    yield closed / "data"
    shutil.rmtree(closed)


def ask(server: PostgresServer, statement: str) -> object:
    async def asked() -> object:
        connection = await asyncpg.connect(server.dsn())
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(asked())


def is_gone(pid: int) -> bool:
    """True when the process has ended, be it reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_postgres_keeps_what_was_committed_through_sigkill(folder: Path) -> None:
    server = postgres_in(folder)
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.kill()
    server.start()
    assert ask(server, "SELECT answer FROM kept") == 42
    server.stop()
    assert "shut down" in (folder / "postgres.log").read_text()


def test_postgres_takes_no_connection_without_its_password(folder: Path) -> None:
    server = postgres_in(folder)
    server.start()
    stranger = PostgresServer(
        binaries=find_postgres(),
        data=folder / "postgres",
        sockets=socket_folder(folder),
        log=folder / "postgres.log",
        password="guess",
    )
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(stranger, "SELECT 1")
    server.stop()


def test_postgres_starts_over_the_pid_file_of_a_crash(folder: Path) -> None:
    server = postgres_in(folder)
    server.start()
    server.kill()
    # After a reboot the number in the file may belong to anything that lives: here to us.
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder / 'postgres'}\n")
    server.start()
    assert ask(server, "SELECT 1") == 1
    server.stop()


def test_postgres_never_uses_a_cluster_that_is_half_made(folder: Path) -> None:
    half = folder / "postgres.new" / "base"
    half.mkdir(parents=True)
    (half / "1").write_text("interrupted")
    (folder / "postgres").mkdir()
    server = postgres_in(folder)
    server.start()
    assert ask(server, "SELECT 1") == 1
    server.stop()
    assert not half.exists()


def test_postgres_leaves_foreign_files_alone(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "letter.txt").write_text("mine")
    with pytest.raises(DataDirectoryError, match="holds files, but no Postgres cluster"):
        postgres_in(folder).start()
    assert (folder / "postgres" / "letter.txt").read_text() == "mine"


def test_a_cluster_of_another_version_is_refused(folder: Path) -> None:
    server = postgres_in(folder)
    server.start()
    server.stop()
    (folder / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(DataDirectoryError, match="was written by Postgres 9, but"):
        server.start()


def test_a_server_that_cannot_start_says_what_its_log_says(folder: Path) -> None:
    with pytest.raises(StartError, match=r"(?s)Redis did not start.*maxmemory"):
        redis_in(folder, memory="much").start()


def test_redis_keeps_what_was_acknowledged_through_sigkill(folder: Path) -> None:
    server = redis_in(folder)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        for number in range(100):
            client.xadd("stream", {"n": number})
    server.kill()
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.xlen("stream") == 100
    server.stop()


def fill(client: redis.Redis) -> int:
    """Write until the server refuses; the number of keys that it took."""
    for number in itertools.count():
        try:
            client.set(f"key-{number}", "x" * 100_000)
        except redis.exceptions.OutOfMemoryError:
            return number
    raise AssertionError("unreachable")


def test_full_redis_refuses_and_forgets_nothing(folder: Path) -> None:
    server = redis_in(folder, memory="4mb")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        stored = fill(client)
        assert stored > 0
        assert client.dbsize() == stored
    server.stop()


def test_nothing_is_left_when_the_parent_is_killed(folder: Path) -> None:
    root = str(Path(__file__).parents[3])
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(folder), root], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    children = descendants(parent.pid)
    assert len(children) >= 4  # two servers, and Postgres' own workers
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for("the end of every child", lambda: all(is_gone(pid) for pid in children))
    parent.stdout.close()
