"""tracking-service is told to stop: it says so first, drains what waits, and ends well however often it is told."""

import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import redis

from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.shared.links.hits import GIF
from tests.integration.tracking_service import Service, hits_of, new_message, open_target
from tests.product import wait_for

FOR_EVER = 600.0


def readiness(service: Service) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{service.ops_port}/readyz", timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def segments(spool: Path) -> list[Path]:
    return list(spool.glob("*/*.segment"))


def test_it_is_not_ready_before_it_stops_listening_and_answers_meanwhile(redis_url: str, tmp_path: Path) -> None:
    service, message = Service(redis_url, tmp_path / "spool", stop_delay=FOR_EVER), new_message()
    try:
        assert readiness(service)[0] == 200
        service.process.send_signal(signal.SIGTERM)
        _, said = wait_for("503", lambda: found if (found := readiness(service))[0] == 503 else None)
        assert said["ready"] is False
        assert set(said["failed"]) == {"stopping"}
        for _ in range(3):
            assert service.get(open_target(message)).body == GIF
        assert len(hits_of(redis_url, message)) == 3
        assert service.metric("postmeter_ready", '{check="redis_or_spool"}') == 1
    finally:
        service.kill()


def test_what_waits_is_in_redis_when_it_has_stopped(server: RedisServer, tmp_path: Path) -> None:
    service, message = Service(server.url, tmp_path / "spool", append_deadline=60), new_message()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        for _ in range(10):
            assert service.get(open_target(message)).body == GIF
        assert segments(service.spool)
        client.config_set("maxmemory", "64mb")
    assert service.terminate() == 0
    assert not segments(service.spool)
    assert len(hits_of(server.url, message)) == 10


def test_a_redis_that_hangs_is_not_waited_for_longer_than_the_service_has_to_stop(
    server: RedisServer, tmp_path: Path
) -> None:
    service, message = Service(server.url, tmp_path / "spool", append_deadline=FOR_EVER, stop_timeout=1), new_message()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        assert service.get(open_target(message)).body == GIF
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert service.terminate() == 0
        finally:
            os.kill(server.pid, signal.SIGCONT)
        client.config_set("maxmemory", "64mb")
    assert segments(service.spool)
    assert "hits stay in the spool" in service.log.read_text()
    heir = Service(server.url, tmp_path / "spool")
    wait_for("a drained spool", lambda: not segments(heir.spool))
    assert heir.terminate() == 0
    assert len(hits_of(server.url, message)) == 1


def test_it_ends_well_however_often_it_is_told_to(redis_url: str, tmp_path: Path) -> None:
    service = Service(redis_url, tmp_path / "spool")
    while service.process.poll() is None:
        service.process.send_signal(signal.SIGTERM)
    assert service.process.returncode == 0, service.log.read_text()
