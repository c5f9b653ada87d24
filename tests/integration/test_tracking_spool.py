"""Redis goes away, the service dies: no answered hit is lost, none is counted twice."""

import json
import os
import signal
import struct
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
import redis

from postmeter.cli.local.redis_server import RedisServer
from postmeter.shared.links.pixel import GIF
from postmeter.shared.stream import records
from postmeter.shared.stream.events import Mark
from postmeter.tracking.durable import holder
from tests.integration.own_redis import own_redis
from tests.integration.tracking_service import (
    WORKSPACE,
    Reply,
    Service,
    batches,
    click_target,
    hits_of,
    honeypot_target,
    new_message,
    once,
    open_target,
)
from tests.product import wait_for

URL = "https://shop.example/"


@pytest.fixture
def server(server_folder: Path, tmp_path: Path) -> Iterator[RedisServer]:
    with own_redis(server_folder, tmp_path) as own:
        yield own


@pytest.fixture
def service(server: RedisServer, tmp_path: Path) -> Iterator[Service]:
    running = Service(server.url, tmp_path / "spool", append_deadline=0.3)
    yield running
    running.kill()


class Visitors:
    """Threads that open one message again and again and count the answers."""

    def __init__(self, service: Service, message: bytes, count: int = 6) -> None:
        self.answered = 0
        self._stop = False
        self._lock = threading.Lock()
        self._service = service
        self._request = f"GET {open_target(message)} HTTP/1.1\r\nHost: t\r\n\r\n".encode()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        with closing(self._service.connect()) as wire:
            while not self._stop:
                try:
                    wire.send(self._request)
                    assert wire.reply().body == GIF
                except (AssertionError, OSError):
                    return
                with self._lock:
                    self.answered += 1

    def more(self, hits: int) -> None:
        """Wait until that many more have been answered."""
        goal = self.answered + hits
        wait_for(f"{hits} more answers", lambda: self.answered >= goal)

    def end(self) -> int:
        self._stop = True
        for thread in self._threads:
            thread.join()
        return self.answered


def empty(spool: Path) -> bool:
    return not list(spool.glob("*/*.segment"))


def test_redis_killed_and_started_again(server: RedisServer, service: Service) -> None:
    message = new_message()
    visitors = Visitors(service, message)
    visitors.more(100)
    server.kill()
    visitors.more(300)
    assert service.metric("postmeter_batches_total", '{place="spool"}') > 0
    server.start()
    wait_for("a drained spool", lambda: empty(service.spool))
    direct = service.metric("postmeter_batches_total", '{place="stream"}')
    visitors.more(100)
    answered = visitors.end()
    assert service.metric("postmeter_batches_total", '{place="stream"}') > direct
    assert service.metric("postmeter_spool_drained_total") > 0
    assert len(hits_of(server.url, message)) == answered


def test_redis_that_hangs_gets_some_batches_twice_under_the_same_id(server: RedisServer, service: Service) -> None:
    """What was sent to a stopped Redis is read by it later, after the spool has taken it too."""
    message = new_message()
    visitors = Visitors(service, message)
    visitors.more(100)
    os.kill(server.pid, signal.SIGSTOP)
    visitors.more(300)
    os.kill(server.pid, signal.SIGCONT)
    wait_for("a drained spool", lambda: empty(service.spool))
    visitors.more(50)
    answered = visitors.end()
    assert service.metric("postmeter_append_failures_total") > 0
    found = batches(server.url)
    by_id: dict[str, list[object]] = {}
    for shard, batch_id, content in found:
        by_id.setdefault(batch_id, []).append((shard, content))
    assert len(by_id) < len(found), "no batch was appended twice: the test has not tested it"
    assert all(copies == copies[:1] * len(copies) for copies in by_id.values())
    assert len(hits_of(server.url, message)) == answered


def test_full_redis_is_no_reason_to_lose_a_hit(server: RedisServer, service: Service) -> None:
    message = new_message()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        for _ in range(20):
            assert service.get(open_target(message)).body == GIF
        assert service.metric("postmeter_batches_total", '{place="spool"}') > 0
        client.config_set("maxmemory", "64mb")
    wait_for("a drained spool", lambda: empty(service.spool))
    assert len(hits_of(server.url, message)) == 20


def test_the_next_process_drains_what_a_killed_one_has_left(server: RedisServer, service: Service) -> None:
    message = new_message()
    visitors = Visitors(service, message)
    visitors.more(50)
    server.kill()
    visitors.more(200)
    service.kill()
    answered = visitors.end()
    assert not empty(service.spool)
    for segment in service.spool.glob("*/*.segment"):
        os.utime(segment, (0, 0))
    heir = Service(server.url, service.spool)
    wait_for("the spool's age", lambda: heir.metric("postmeter_spool_age_seconds") > 1_000_000)
    server.start()
    wait_for("a drained spool", lambda: empty(service.spool))
    wait_for("the spool's age", lambda: heir.metric("postmeter_spool_age_seconds") == 0)
    recorded = len(hits_of(server.url, message))
    # At most one unanswered hit of each visitor can have been on its way.
    assert answered <= recorded <= answered + 6
    assert heir.metric("postmeter_spool_drained_total") > 0
    assert heir.terminate() == 0
    assert empty(service.spool)


def test_a_living_process_adopts_the_spool_of_a_dead_one(server: RedisServer, service: Service) -> None:
    message = new_message()
    server.kill()
    other = Service(server.url, service.spool)
    for _ in range(5):
        assert other.get(open_target(message)).body == GIF
    other.kill()
    assert service.get(open_target(message)).body == GIF
    server.start()
    wait_for("a drained spool", lambda: empty(service.spool))
    assert len(hits_of(server.url, message)) == 6


def test_a_service_does_not_start_where_one_of_another_host_lives(redis_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "shared" / "0123456789abcdef"
    folder.mkdir(parents=True)
    lock = holder.try_lock(folder)
    assert lock is not None
    os.pwrite(lock, b'{"host":"tracking-1","boot":"b","pid":1,"work":"tracking-service"}'.ljust(512, b"\0"), 0)
    with pytest.raises(AssertionError) as refused:
        Service(redis_url, tmp_path / "shared")
    assert f"postmeter tracking: POSTMETER_SPOOL_DIR: in {folder} works tracking-service of host tracking-1" in str(
        refused.value
    )
    holder.release(lock)


def test_a_spool_of_the_version_before_is_drained(server: RedisServer, tmp_path: Path) -> None:
    """Its segments have no marker: length, checksum, payload; the folder is taken over with all that is in it."""
    folder, message = tmp_path / "old" / "0123456789abcdef", new_message()
    folder.mkdir(parents=True)
    packed = records.join([records.encode(records.Hit(1_790_000_000_000_000, WORKSPACE, message, "", False, b"", ""))])
    payload = msgspec.msgpack.encode([1, b"old-1", packed])
    frame = struct.pack(">II", len(payload), zlib.crc32(payload)) + payload
    (folder / "00000001.segment").write_bytes(frame)
    (folder / "lock").touch()
    heir = Service(server.url, tmp_path / "old")
    wait_for("a drained spool", lambda: empty(tmp_path / "old"))
    assert len(hits_of(server.url, message)) == 1
    assert heir.terminate() == 0
    assert [one.name for one in heir.spool.iterdir()] == [folder.name]


def test_heads_and_the_honeypots_visits_are_answered_when_they_are_on_disk(
    server: RedisServer, service: Service
) -> None:
    message, query = new_message(), f"url={quote(URL, safe='')}"
    asked = [("HEAD", click_target(message, URL, query)), ("GET", honeypot_target(message, URL, query))]
    server.kill()
    for method, target in asked:
        assert service.get(target, method=method).headers["location"] == URL
    assert service.recorded("head") == 1
    service.kill()
    server.start()
    heir = Service(server.url, service.spool)
    wait_for("a drained spool", lambda: empty(service.spool))
    assert sorted(hit.mark for hit in hits_of(server.url, message)) == [Mark.HEAD, Mark.HONEYPOT]
    assert heir.terminate() == 0


def test_a_torn_tail_and_a_damaged_frame_cost_nothing_else(server: RedisServer, service: Service) -> None:
    messages = [new_message() for _ in range(3)]
    server.kill()
    for message in messages:
        assert service.get(open_target(message)).body == GIF
    service.kill()
    (segment,) = service.spool.glob("*/*.segment")
    data = bytearray(segment.read_bytes())
    data[data.index(messages[1]) + 3] ^= 0xFF
    segment.write_bytes(data + data[: len(data) // 4])
    server.start()
    heir = Service(server.url, service.spool)
    wait_for("a drained spool", lambda: empty(service.spool))
    assert [len(hits_of(server.url, message)) for message in messages] == [1, 0, 1]
    assert "damaged or torn frames" in heir.log.read_text()
    assert heir.terminate() == 0


def test_a_disk_that_fails_keeps_nothing_else_from_redis_and_is_told_as_what_it_is(
    server: RedisServer, service: Service
) -> None:
    """A folder in a segment's place cannot be read either, whoever asks."""
    messages = [new_message() for _ in range(3)]
    server.kill()
    assert service.get(open_target(messages[0])).body == GIF
    (folder,) = service.spool.iterdir()
    other = folder.parent / "0123456789abcdef"
    for bad in (folder, other):
        (bad / "00000000-00112233445566aa.segment").mkdir(parents=True)
    assert service.get(open_target(messages[1])).body == GIF
    server.start()
    wait_for("the good segments", lambda: not [one for one in service.spool.glob("*/*.segment") if one.is_file()])
    direct = service.metric("postmeter_batches_total", '{place="stream"}')
    assert service.get(open_target(messages[2])).body == GIF
    assert service.metric("postmeter_batches_total", '{place="stream"}') > direct
    assert [len(hits_of(server.url, message)) for message in messages] == [1, 1, 1]
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    told = [line for line in lines if "disk of the spool fails" in line["event"]]
    assert {line["level"] for line in told} == {"error"}
    assert "00112233445566aa.segment cannot be read: Is a directory" in told[0]["error"]
    assert service.terminate() == 0


def _by_other_ways(service: Service, message: bytes) -> Iterator[Reply]:
    """A hit that aiohttp answers, and two that are pipelined around one that is not genuine, which has no mark."""
    with closing(service.connect()) as wire:
        wire.send(b"GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n")
        assert wire.reply().status == 404
        wire.send(f"GET {open_target(message)} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        yield wire.reply()
    genuine = f"GET {open_target(message)} HTTP/1.1\r\nHost: t\r\n\r\n"
    forged = f"GET {open_target(message)}x HTTP/1.1\r\nHost: t\r\n\r\n"
    with closing(service.connect()) as wire:
        wire.send((genuine + forged + genuine).encode())
        yield wire.reply()
        assert "postmeter-dropped" not in wire.reply().headers
        yield wire.reply()


def test_with_redis_away_and_the_spool_full_people_are_still_served(server: RedisServer, tmp_path: Path) -> None:
    service = Service(server.url, tmp_path / "small", append_deadline=0.3, spool_bytes=1000)
    message = new_message()
    try:
        server.kill()
        opens = [service.get(open_target(message)) for _ in range(20)]
        assert {one.body for one in opens} == {GIF}
        dropped = service.dropped("spool_full")
        assert 0 < dropped < 20
        assert [one.headers.get("postmeter-dropped") for one in opens].count("spool_full") == dropped
        click = click_target(message, URL, f"url={quote(URL, safe='')}")
        assert service.get(click, method="HEAD").headers["location"] == URL
        assert service.dropped("spool_full") == dropped + 1
        for answered in _by_other_ways(service, message):
            assert answered.headers["postmeter-dropped"] == "spool_full"
        assert service.dropped("spool_full") == dropped + 4
        write = service.post("/v1/messages", {"from_address": "a@b.example", "to": "c@d.example"})
        assert (write.status, write.json()["error"]["code"]) == (503, "UNAVAILABLE")
        server.start()
        wait_for("a drained spool", lambda: empty(tmp_path / "small"))
        assert len(hits_of(server.url, message)) == 20 - dropped
        assert service.get(open_target(message)).body == GIF
        assert len(hits_of(server.url, message)) == 20 - dropped + 1
    finally:
        assert service.terminate() == 0


def test_a_hit_that_nothing_takes_waits_in_memory_for_redis(server: RedisServer, tmp_path: Path) -> None:
    """Redis hangs past the deadline and nothing may be spooled; a hit that is answered without a mark is recorded."""
    service = Service(server.url, tmp_path / "none", append_deadline=0.1, spool_bytes=1)
    try:
        for _ in range(20):
            message, failures = new_message(), service.metric("postmeter_append_failures_total")
            os.kill(server.pid, signal.SIGSTOP)
            with closing(service.connect()) as wire:
                wire.send(f"GET {open_target(message)} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
                wait_for("a failure", lambda: service.metric("postmeter_append_failures_total") > failures)  # noqa: B023
                os.kill(server.pid, signal.SIGCONT)
                reply = wire.reply()
            if "postmeter-dropped" not in reply.headers:
                assert len(hits_of(server.url, message)) == 1
                return
            # Too slow a machine: once more, when Redis is known to be back.
            wait_for("Redis", lambda: "postmeter-dropped" not in service.get(open_target(new_message())).headers)
        raise AssertionError("no hit waited long enough, on twenty tries")
    finally:
        os.kill(server.pid, signal.SIGCONT)
        assert service.terminate() == 0


def test_writes_survive_redis_too(server: RedisServer, service: Service) -> None:
    server.kill()
    message = {"from_address": "a@b.example", "to": "c@d.example"}
    assert service.post("/v1/messages", message).status == 201
    event = {"type": "sent", "message_id": "01a1fb2d-08d5-7647-ba6f-fd9d4e2e5235", "id": "one"}
    assert service.post("/v1/events", {"events": [event]}).json()["accepted"] == 1
    server.start()
    wait_for("a drained spool", lambda: empty(service.spool))
    assert sorted(type(record).__name__ for record in once(server.url)) == ["Event", "Registration"]


def test_sigterm_with_redis_away_keeps_the_spool(server: RedisServer, service: Service) -> None:
    message = new_message()
    server.kill()
    assert service.get(open_target(message)).body == GIF
    assert service.terminate() == 0
    assert not empty(service.spool)
    server.start()
    heir = Service(server.url, service.spool)
    wait_for("a drained spool", lambda: empty(service.spool))
    assert len(hits_of(server.url, message)) == 1
    assert heir.terminate() == 0


def test_a_pipelining_client_is_made_to_wait_while_redis_hangs(server: RedisServer, tmp_path: Path) -> None:
    """It is not read from, so that its requests take no memory; then all are answered and recorded."""
    service = Service(server.url, tmp_path / "patient", append_deadline=15)
    message, rounds = new_message(), 20_000
    try:
        assert service.get(open_target(message)).body == GIF
        os.kill(server.pid, signal.SIGSTOP)
        with closing(service.connect()) as wire:
            request = f"GET {open_target(message)} HTTP/1.1\r\nHost: t\r\nX: {'y' * 1000}\r\n\r\n".encode()
            wire.socket.setblocking(False)
            sent = 0
            try:
                while sent < rounds * len(request):
                    sent += wire.socket.send((request * 100)[sent % len(request) :])
            except BlockingIOError:
                pass
            assert sent < rounds * len(request), "the service has read everything: nothing bounds its memory"
            wire.socket.settimeout(20)
            os.kill(server.pid, signal.SIGCONT)
            sender = threading.Thread(target=wire.send, args=((request * rounds)[sent:],))
            sender.start()
            for _ in range(rounds):
                assert wire.reply().body == GIF
            sender.join()
        assert len(hits_of(server.url, message)) == rounds + 1
    finally:
        assert service.terminate() == 0


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_ready_as_long_as_hits_can_be_kept(server: RedisServer, service: Service, tmp_path: Path) -> None:
    cramped = Service(server.url, tmp_path / "cramped", append_deadline=0.3, spool_bytes=1)
    urls = [f"http://127.0.0.1:{one.ops_port}/readyz" for one in (service, cramped)]
    try:
        assert [status(url) for url in urls] == [200, 200]
        server.kill()
        assert [status(url) for url in urls] == [200, 503]
        server.start()
        assert [status(url) for url in urls] == [200, 200]
    finally:
        assert cramped.terminate() == 0
