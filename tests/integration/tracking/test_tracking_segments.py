"""The spool's segments: who drains them after a process has died, and what is damaged in them costs nothing else."""

import json
import os
import struct
import zlib
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.shared.links.hits import GIF
from postmeter.shared.stream import records
from postmeter.shared.stream.events import Mark
from postmeter.tracking.durable import holder
from tests.integration.tracking_service import (
    WORKSPACE,
    Service,
    click_target,
    empty,
    hits_of,
    honeypot_target,
    new_message,
    open_target,
)
from tests.integration.visitors import Visitors
from tests.product import wait_for

URL = "https://shop.example/"


def test_the_next_process_drains_what_a_killed_one_has_left(server: RedisServer, spooling: Service) -> None:
    message = new_message()
    visitors = Visitors(spooling, message)
    visitors.more(50)
    server.kill()
    visitors.more(200)
    spooling.kill()
    answered = visitors.end()
    assert not empty(spooling.spool)
    for segment in spooling.spool.glob("*/*.segment"):
        os.utime(segment, (0, 0))
    heir = Service(server.url, spooling.spool)
    wait_for("the spool's age", lambda: heir.metric("postmeter_spool_age_seconds") > 1_000_000)
    server.start()
    wait_for("a drained spool", lambda: empty(spooling.spool))
    wait_for("the spool's age", lambda: heir.metric("postmeter_spool_age_seconds") == 0)
    recorded = len(hits_of(server.url, message))
    # At most one unanswered hit of each visitor can have been on its way.
    assert answered <= recorded <= answered + 6
    assert heir.metric("postmeter_spool_drained_total") > 0
    assert heir.terminate() == 0
    assert empty(spooling.spool)


def test_a_living_process_adopts_the_spool_of_a_dead_one(server: RedisServer, spooling: Service) -> None:
    message = new_message()
    server.kill()
    other = Service(server.url, spooling.spool)
    for _ in range(5):
        assert other.get(open_target(message)).body == GIF
    other.kill()
    assert spooling.get(open_target(message)).body == GIF
    server.start()
    wait_for("a drained spool", lambda: empty(spooling.spool))
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
    server: RedisServer, spooling: Service
) -> None:
    message, query = new_message(), f"url={quote(URL, safe='')}"
    asked = [("HEAD", click_target(message, URL, query)), ("GET", honeypot_target(message, URL, query))]
    server.kill()
    for method, target in asked:
        assert spooling.get(target, method=method).headers["location"] == URL
    assert spooling.recorded("head") == 1
    spooling.kill()
    server.start()
    heir = Service(server.url, spooling.spool)
    wait_for("a drained spool", lambda: empty(spooling.spool))
    assert sorted(hit.mark for hit in hits_of(server.url, message)) == [Mark.HEAD, Mark.HONEYPOT]
    assert heir.terminate() == 0


def test_a_torn_tail_and_a_damaged_frame_cost_nothing_else(server: RedisServer, spooling: Service) -> None:
    messages = [new_message() for _ in range(3)]
    server.kill()
    for message in messages:
        assert spooling.get(open_target(message)).body == GIF
    spooling.kill()
    (segment,) = spooling.spool.glob("*/*.segment")
    data = bytearray(segment.read_bytes())
    data[data.index(messages[1]) + 3] ^= 0xFF
    segment.write_bytes(data + data[: len(data) // 4])
    server.start()
    heir = Service(server.url, spooling.spool)
    wait_for("a drained spool", lambda: empty(spooling.spool))
    assert [len(hits_of(server.url, message)) for message in messages] == [1, 0, 1]
    assert "damaged or torn frames" in heir.log.read_text()
    assert heir.terminate() == 0


def test_a_disk_that_fails_keeps_nothing_else_from_redis_and_is_told_as_what_it_is(
    server: RedisServer, spooling: Service
) -> None:
    """A folder in a segment's place cannot be read either, whoever asks."""
    messages = [new_message() for _ in range(3)]
    server.kill()
    assert spooling.get(open_target(messages[0])).body == GIF
    (folder,) = spooling.spool.iterdir()
    other = folder.parent / "0123456789abcdef"
    for bad in (folder, other):
        (bad / "00000000-00112233445566aa.segment").mkdir(parents=True)
    assert spooling.get(open_target(messages[1])).body == GIF
    server.start()
    wait_for("the good segments", lambda: not [one for one in spooling.spool.glob("*/*.segment") if one.is_file()])
    direct = spooling.metric("postmeter_batches_total", '{place="stream"}')
    assert spooling.get(open_target(messages[2])).body == GIF
    assert spooling.metric("postmeter_batches_total", '{place="stream"}') > direct
    assert [len(hits_of(server.url, message)) for message in messages] == [1, 1, 1]
    lines = [json.loads(line) for line in spooling.log.read_text().splitlines()]
    told = [line for line in lines if "disk of the spool fails" in line["event"]]
    assert {line["level"] for line in told} == {"error"}
    assert "00112233445566aa.segment cannot be read: Is a directory" in told[0]["error"]
    assert spooling.terminate() == 0
