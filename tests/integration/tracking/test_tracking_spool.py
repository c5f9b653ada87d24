"""Redis goes away, the service dies: no answered hit is lost, none is counted twice."""

import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import redis

from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.shared.links.hits import GIF
from tests.integration.tracking_service import (
    Reply,
    Service,
    batches,
    click_target,
    empty,
    hits_of,
    new_message,
    once,
    open_target,
)
from tests.integration.visitors import Visitors
from tests.product import wait_for

URL = "https://shop.example/"


def test_redis_killed_and_started_again(server: RedisServer, spooling: Service) -> None:
    message = new_message()
    visitors = Visitors(spooling, message)
    visitors.more(100)
    server.kill()
    visitors.more(300)
    assert spooling.metric("postmeter_batches_total", '{place="spool"}') > 0
    server.start()
    wait_for("a drained spool", lambda: empty(spooling.spool))
    direct = spooling.metric("postmeter_batches_total", '{place="stream"}')
    visitors.more(100)
    answered = visitors.end()
    assert spooling.metric("postmeter_batches_total", '{place="stream"}') > direct
    assert spooling.metric("postmeter_spool_drained_total") > 0
    assert len(hits_of(server.url, message)) == answered


def test_redis_that_hangs_gets_some_batches_twice_under_the_same_id(server: RedisServer, spooling: Service) -> None:
    """What was sent to a stopped Redis is read by it later, after the spool has taken it too."""
    message = new_message()
    visitors = Visitors(spooling, message)
    visitors.more(100)
    os.kill(server.pid, signal.SIGSTOP)
    visitors.more(300)
    os.kill(server.pid, signal.SIGCONT)
    wait_for("a drained spool", lambda: empty(spooling.spool))
    visitors.more(50)
    answered = visitors.end()
    assert spooling.metric("postmeter_append_failures_total") > 0
    found = batches(server.url)
    by_id: dict[str, list[object]] = {}
    for shard, batch_id, content in found:
        by_id.setdefault(batch_id, []).append((shard, content))
    assert len(by_id) < len(found), "no batch was appended twice: the test has not tested it"
    assert all(copies == copies[:1] * len(copies) for copies in by_id.values())
    assert len(hits_of(server.url, message)) == answered


def test_full_redis_is_no_reason_to_lose_a_hit(server: RedisServer, spooling: Service) -> None:
    message = new_message()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        for _ in range(20):
            assert spooling.get(open_target(message)).body == GIF
        assert spooling.metric("postmeter_batches_total", '{place="spool"}') > 0
        assert "OOM command not allowed" in spooling.warnings()["spool"]
    server.kill()
    wait_for("the reason of now", lambda: "OOM" not in spooling.warnings()["spool"])
    server.start()
    wait_for("a drained spool", lambda: empty(spooling.spool))
    assert len(hits_of(server.url, message)) == 20
    assert "spool" not in spooling.warnings()


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


def test_writes_survive_redis_too(server: RedisServer, spooling: Service) -> None:
    server.kill()
    message = {"from_address": "a@b.example", "to": "c@d.example"}
    assert spooling.post("/v1/messages", message).status == 201
    event = {"type": "sent", "message_id": "01a1fb2d-08d5-7647-ba6f-fd9d4e2e5235", "id": "one"}
    assert spooling.post("/v1/events", {"events": [event]}).json()["accepted"] == 1
    server.start()
    wait_for("a drained spool", lambda: empty(spooling.spool))
    assert sorted(type(record).__name__ for record in once(server.url)) == ["Event", "Registration"]


def test_sigterm_with_redis_away_keeps_the_spool(server: RedisServer, spooling: Service) -> None:
    message = new_message()
    server.kill()
    assert spooling.get(open_target(message)).body == GIF
    assert spooling.terminate() == 0
    assert not empty(spooling.spool)
    server.start()
    heir = Service(server.url, spooling.spool)
    wait_for("a drained spool", lambda: empty(spooling.spool))
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
            wire.socket.settimeout(60)
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
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_ready_as_long_as_hits_can_be_kept(server: RedisServer, spooling: Service, tmp_path: Path) -> None:
    cramped = Service(server.url, tmp_path / "cramped", append_deadline=0.3, spool_bytes=1)
    urls = [f"http://127.0.0.1:{one.ops_port}/readyz" for one in (spooling, cramped)]
    try:
        assert [status(url) for url in urls] == [200, 200]
        server.kill()
        assert [status(url) for url in urls] == [200, 503]
        server.start()
        assert [status(url) for url in urls] == [200, 200]
    finally:
        assert cramped.terminate() == 0
