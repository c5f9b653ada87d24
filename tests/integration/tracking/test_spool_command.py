"""`postmeter spool drain`: what a dead process has left counts once, however often the command is killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import redis
import yaml
from click.testing import CliRunner

from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.cli.main import main
from postmeter.shared.links.hits import GIF
from tests.integration.tracking_service import SHARDS, Service, batches, hits_of, new_message, open_target
from tests.product import as_installed

JOB = Path(__file__).parents[3] / "deploy/k8s/drain/drain.yaml"
DONE, IMPOSSIBLE, AWAY = 0, 1, 75


def started(*words: str, **settings: object) -> "subprocess.Popen[str]":
    own = {name: value for name, value in as_installed().items() if not name.startswith("POSTMETER_")}
    own |= {f"POSTMETER_{name.upper()}": str(value) for name, value in settings.items()}
    command = [str(Path(sys.executable).with_name("postmeter")), *words]
    return subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def drain(spool: Path, redis_url: str, **settings: object) -> tuple[int, str]:
    """The command's exit code and what it said, run to its end."""
    process = started("spool", "drain", str(spool), redis_url=redis_url, shards=SHARDS, **settings)
    said = "".join(process.communicate(timeout=120))
    return process.returncode, said


def left_behind(server: RedisServer, spool: Path, message: bytes, hits: int) -> set[bytes]:
    """Kill Redis, have hits answered, each in a batch of its own, kill the service, start Redis again.

    Returns the agents of what was answered.
    """
    service = Service(server.url, spool, append_deadline=0.3)
    server.kill()
    agents = {f"reader {number}" for number in range(hits)}
    for agent in agents:
        assert service.get(open_target(message), f"User-Agent: {agent}").body == GIF
    service.kill()
    server.start()
    return {agent.encode() for agent in agents}


class Withheld:
    """A way to Redis on which everything arrives there, but no reply comes back from the n-th append on."""

    def __init__(self, path: str, appends: int) -> None:
        self._path, self._left = path, appends
        self.reached = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        client, _ = self._listener.accept()
        with closing(client), closing(socket.socket(socket.AF_UNIX)) as there:
            there.connect(self._path)
            while data := client.recv(1 << 20):
                self._left -= data.count(b"XADD")
                there.sendall(data)
                # Redis has it once it has replied.
                reply = there.recv(1 << 20)
                if self._left <= 0:
                    self.reached.set()
                else:
                    client.sendall(reply)

    def close(self) -> None:
        self._listener.close()


@contextmanager
def withheld(url: str, appends: int) -> Iterator[Withheld]:
    way = Withheld(unquote(urlsplit(url).path), appends)
    try:
        yield way
    finally:
        way.close()


def test_every_answered_hit_counts_once_although_the_command_is_killed_again_and_again(
    server: RedisServer, tmp_path: Path
) -> None:
    spool, message = tmp_path / "spool", new_message()
    agents = left_behind(server, spool, message, 20)
    for appends in (1, 7):
        with withheld(server.url, appends) as way:
            process = started("spool", "drain", str(spool), redis_url=way.url, shards=SHARDS)
            assert way.reached.wait(120), process.communicate()
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert list(spool.glob("*/*.segment"))
    assert drain(spool, server.url) == (DONE, f"20 batches with 20 hits moved to Redis; nothing is left in {spool}\n")
    assert list(spool.iterdir()) == []
    assert len(batches(server.url)) == 1 + 7 + 20, "each try began at the beginning, and each batch kept its id"
    assert Counter(hit.user_agent for hit in hits_of(server.url, message)) == Counter(agents)
    assert drain(spool, server.url) == (DONE, f"0 batches with 0 hits moved to Redis; nothing is left in {spool}\n")


def test_nothing_is_touched_where_a_service_lives(server: RedisServer, tmp_path: Path) -> None:
    service, message = Service(server.url, tmp_path / "spool", append_deadline=0.3), new_message()
    server.kill()
    assert service.get(open_target(message)).body == GIF
    before = {path: path.read_bytes() for path in service.spool.glob("*/*.segment")}
    os.kill(service.process.pid, signal.SIGSTOP)  # before Redis is back, so that it does not drain it meanwhile
    try:
        server.start()
        code, said = drain(service.spool, server.url)
        assert code == IMPOSSIBLE
        (folder,) = service.spool.iterdir()
        assert (
            f"in {folder} works tracking-service of host {socket.gethostname()}, process {service.process.pid}" in said
        )
        assert "nothing was done" in said
        assert {path: path.read_bytes() for path in service.spool.glob("*/*.segment")} == before
        assert batches(server.url) == []
    finally:
        os.kill(service.process.pid, signal.SIGCONT)
    assert service.terminate() == 0


def test_redis_away_or_full_is_no_end_and_what_cannot_be_read_is_named(server: RedisServer, tmp_path: Path) -> None:
    spool, message = tmp_path / "spool", new_message()
    left_behind(server, spool, message, 3)
    before = {path: path.read_bytes() for path in spool.glob("*/*.segment")}
    server.kill()
    code, said = drain(spool, server.url)
    assert code == AWAY
    assert "Redis does not take batches" in said
    assert "0 batches with 0 hits were moved" in said
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        assert drain(spool, server.url)[0] == AWAY
        client.config_set("maxmemory", "64mb")
    assert {path: path.read_bytes() for path in spool.glob("*/*.segment")} == before
    # A folder in a segment's place cannot be read, whoever asks.
    (folder,) = spool.iterdir()
    (folder / "00000000-00112233445566aa.segment").mkdir()
    old = 1_700_000_000
    for path in before:
        os.utime(path, (old, old))
    code, said = drain(spool, server.url)
    assert code == IMPOSSIBLE
    assert "3 batches with 3 hits were moved" in said
    assert "00112233445566aa.segment cannot be read: Is a directory" in said
    assert "days: of what was in Redis before, the counting remembers 8 days" in said
    assert len(hits_of(server.url, message)) == 3
    assert [path.name for path in folder.glob("*.segment")] == ["00000000-00112233445566aa.segment"]


def test_what_cannot_be_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (inner := tmp_path / "0123456789abcdef").mkdir()
    monkeypatch.delenv("POSTMETER_REDIS_URL", raising=False)
    settings = {"POSTMETER_REDIS_URL": "redis://127.0.0.1:1"}
    for folder, environ, said in (
        (tmp_path / "missing", settings, "missing is not a folder"),
        (inner, settings, f"is the folder of one process; give {tmp_path}"),
        (tmp_path, {}, "POSTMETER_REDIS_URL is not set"),
    ):
        result = CliRunner().invoke(main, ["spool", "drain", str(folder)], env=environ)
        assert result.exit_code == IMPOSSIBLE
        assert said in result.output


def test_the_job_runs_a_command_that_there_is(server: RedisServer, tmp_path: Path) -> None:
    """With its own words and settings, on a spool that an earlier version has left with other things beside it."""
    job = yaml.safe_load(JOB.read_text())
    container = job["spec"]["template"]["spec"]["containers"][0]
    spool, message = tmp_path / "spool", new_message()
    left_behind(server, spool, message, 2)
    (spool / "lost+found").mkdir()
    mounted = container["args"].index("/var/lib/postmeter/spool")
    words = [*container["args"][:mounted], str(spool), *container["args"][mounted + 1 :]]
    given = {one["name"].removeprefix("POSTMETER_").lower(): one.get("value", server.url) for one in container["env"]}
    assert set(given) == {"redis_url", "shards"}
    process = started(*words, **given)
    assert process.communicate(timeout=120) == (
        f"2 batches with 2 hits moved to Redis; nothing is left in {spool}\n", ""
    )  # fmt: skip
    rules = job["spec"]["podFailurePolicy"]["rules"]
    assert {rule["action"]: rule["onExitCodes"]["values"] for rule in rules} == {"FailJob": [IMPOSSIBLE, 2]}
