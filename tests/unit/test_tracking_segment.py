"""The spool's files: whatever is torn, damaged or left from an earlier use, intact batches are read, and only those."""

import contextlib
import os
import struct
import tempfile
import zlib
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmeter.shared.storage import uuid7
from postmeter.shared.stream import records
from postmeter.shared.stream.records import Hit
from postmeter.tracking.durable import segment
from postmeter.tracking.durable.holder import LOCK
from postmeter.tracking.durable.reserve import FILES, LEAST_FILE_BYTES, Reserve
from postmeter.tracking.durable.segment import FRAME_BYTES, Segment, Spooled
from postmeter.tracking.durable.spool import Spool, SpoolFull
from postmeter.tracking.settings import TrackingSettings

batches = st.builds(
    Spooled, shard=st.integers(0, 1023), batch_id=st.binary(max_size=30), packed=st.binary(max_size=300)
)
uses = st.lists(st.lists(batches, max_size=8), min_size=1, max_size=4)


@given(uses, st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@example([[Spooled(0, b"", b""), Spooled(1, b"", b"")]], 0.2, 1)  # a frame's length: what it says leads nowhere
def test_a_byte_that_changes_costs_at_most_its_own_frame_and_old_ones_are_never_read(
    rounds: list[list[Spooled]], where: float, change: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        reserve = Reserve(Path(name), FILES * LEAST_FILE_BYTES)
        reserve.fill()
        for number, written in enumerate(rounds, 1):
            used = reserve.take(number)
            assert used is not None
            ends = [used.size]
            for batch in written:
                used.append([batch])
                ends.append(used.size)
            used.close()
            assert list(segment.read(used.path)) == written
            if number < len(rounds):
                assert reserve.give_back(used.path)
        assert used is not None
        data = bytearray(used.path.read_bytes())
        assert len(data) == LEAST_FILE_BYTES
        place = int(where * len(data)) if where > 0.5 else int(where * ends[-1])
        data[place] ^= change
        used.path.write_bytes(data)
        hit = [index for index, (start, end) in enumerate(pairwise(ends)) if start <= place < end]
        assert list(segment.read(used.path)) == [one for index, one in enumerate(written) if index not in hit]


@given(uses, st.floats(0, 1))
@example([[Spooled(0, b"", b"")], []], 0.046875)
def test_a_torn_last_frame_over_an_earlier_use_is_not_read(rounds: list[list[Spooled]], part: float) -> None:
    """The last write reached the disk up to some byte, what lies behind is of the use before."""
    with tempfile.TemporaryDirectory() as name:
        reserve = Reserve(Path(name), FILES * LEAST_FILE_BYTES)
        reserve.fill()
        before = bytes(LEAST_FILE_BYTES)
        for number, written in enumerate(rounds, 1):
            used = reserve.take(number)
            assert used is not None
            for batch in written:
                used.append([batch])
            last = used.size
            used.append([Spooled(0, b"torn", bytes(200))])
            used.close()
            data = used.path.read_bytes()
            cut = last + int(part * (used.size - last - 1))
            used.path.write_bytes(data[:cut] + before[cut:])
            # 200 zeros may lie there already: then the frame is whole but for its head.
            assert [one for one in segment.read(used.path) if one.batch_id != b"torn"] == written
            before = used.path.read_bytes()
            reserve.give_back(used.path)


def test_a_disk_that_takes_a_few_bytes_at_a_time_has_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Spooled(3, b"a-1", b"one"), Spooled(0, b"a-2", b"two")]
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda to, data, at: write(to, data[:7], at))
    made = Segment.create(tmp_path / segment.new_name(1), 1 << 20)
    for one in found:
        made.append([one])
    made.close()
    assert list(segment.read(made.path)) == found


def test_what_could_not_be_synced_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError("a full disk")

    made = Segment.create(tmp_path / segment.new_name(1), 1 << 20)
    made.append([Spooled(3, b"a-1", b"one")])
    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(OSError, match="a full disk"):
        made.append([Spooled(0, b"a-2", b"two")])
    made.close()
    assert [one.batch_id for one in segment.read(made.path)] == [b"a-1"]


def test_segments_of_the_version_before_are_read(tmp_path: Path) -> None:
    found = [Spooled(3, b"a-1", b"one"), Spooled(0, b"a-2", b"two"), Spooled(1, b"a-3", b"three")]
    payloads = [msgspec.msgpack.encode(one) for one in found]
    frames = [struct.pack(">II", len(payload), zlib.crc32(payload)) + payload for payload in payloads]
    old = tmp_path / "00000001.segment"
    old.write_bytes(b"".join(frames))
    assert list(segment.read(old)) == found
    old.write_bytes(frames[0] + b"".join(frames)[len(frames[0]) : -2])
    assert list(segment.read(old)) == found[:2]
    damaged = bytearray(b"".join(frames))
    damaged[len(frames[0]) + 9] ^= 1
    old.write_bytes(damaged)
    assert list(segment.read(old)) == [found[0], found[2]]


def test_segments_whose_checksum_is_of_the_payload_alone_are_read(tmp_path: Path) -> None:
    found = [Spooled(3, b"a-1", b"one"), Spooled(0, b"a-2", b"two")]
    marker = bytes(range(8))
    payloads = [msgspec.msgpack.encode(one) for one in found]
    frames = [marker + struct.pack(">II", len(payload), zlib.crc32(payload)) + payload for payload in payloads]
    old = tmp_path / f"00000001-{marker.hex()}.segment"
    old.write_bytes(b"".join(frames))
    assert list(segment.read(old)) == found
    assert segment.number_of(old) == segment.number_of(tmp_path / segment.new_name(1)) == 1


def test_what_is_not_of_the_reserve_s_size_is_made_anew_and_never_more_than_asked_for(tmp_path: Path) -> None:
    size = FILES * LEAST_FILE_BYTES
    first = Reserve(tmp_path, size)
    first.fill()
    assert first.bytes == size
    assert sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir()) >= size
    (tmp_path / "00000003.reserve").write_bytes(b"cut")
    second = Reserve(tmp_path, size)
    assert second.bytes == size - LEAST_FILE_BYTES
    second.fill()
    in_use = second.take(1)
    assert in_use is not None
    in_use.close()
    second.fill()
    assert second.bytes == size - LEAST_FILE_BYTES, "the file in use comes back"
    assert Reserve(tmp_path, 2 * size).bytes == 0
    assert Reserve(tmp_path, FILES * LEAST_FILE_BYTES - FILES).bytes == 0


async def test_the_spool_never_takes_more_of_the_disk_than_it_may(tmp_path: Path) -> None:
    set_aside = FILES * LEAST_FILE_BYTES
    spool = Spool(tmp_path, "0123456789abcdef", set_aside + 3 * 8192, set_aside)
    batch, written = Spooled(0, b"me-1", bytes(8192 - FRAME_BYTES)), 0
    with contextlib.suppress(SpoolFull), contextlib.closing(spool):
        while True:
            await spool.write([batch])
            written += 1
            taken = sum(path.stat().st_size for path in spool.folder.iterdir() if path.name != LOCK)
            assert taken <= set_aside + 3 * 8192
    assert set_aside < written * 8192 <= set_aside + 3 * 8192, "what was set aside was used up before"


def test_the_usual_reserve_takes_a_hundred_thousand_hits_one_by_one(tmp_path: Path) -> None:
    """Each in a batch of its own, with the bytes of a usual click; one file may wait part-filled."""
    agent = b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)" * 2
    url = "https://shop.example/" + "p" * 180
    hit = Hit(1_790_000_000_000_000, 7, uuid7.new().bytes, url, False, agent, "2001:db8::1")
    packed = records.join([records.encode(hit)])
    path = tmp_path / segment.new_name(1)
    written = Segment.create(path, 1 << 20)
    frame = written.append([Spooled(12, b"0123456789abcdef-12345-12", packed)])
    written.close()
    usable = TrackingSettings.spool_reserve // FILES * (FILES - 1)
    assert usable // frame >= 100_000
