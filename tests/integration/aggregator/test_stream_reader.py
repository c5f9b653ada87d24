"""What one reading of the streams takes into memory, and what is read ahead of need."""

from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio
from redis.exceptions import ResponseError

from postmeter.aggregator.errors import StreamSetBack
from postmeter.aggregator.stream import reader
from postmeter.aggregator.stream.reader import MOST_BYTES, StreamReader
from postmeter.aggregator.stream.readings import Reading, Readings
from postmeter.shared.stream import records, streams
from tests.integration.stopped_clock import Clock

ENTRY = 2 << 20
BEGINNING = {0: "0-0", 1: "0-0"}


async def test_one_reading_holds_so_many_bytes_and_the_next_goes_on_behind_it(redis_url: str) -> None:
    """However many records it may hold: a record may be small or as large as a letter."""
    client = redis.asyncio.Redis.from_url(redis_url, protocol=2)
    try:
        packed = records.join([b"x"]).ljust(ENTRY, b"x")
        ids = [
            await client.xadd(streams.stream(shard), {records.BATCH: f"{shard}-{n}", records.RECORDS: packed})
            for n in range(6)
            for shard in (0, 1)
        ]
        reading_on, after = StreamReader(client), dict(BEGINNING)
        seen: list[bytes] = []
        for reading in range(2):
            found = await reading_on.read(after, 20_000, 100)
            assert sum(len(entry.packed) for entry in found.entries) <= MOST_BYTES + 2 * ENTRY
            assert found.more == ({0, 1} if reading == 0 else set())
            for entry in found.entries:
                assert entry.shard is not None
                after[entry.shard] = entry.id.decode()
                seen.append(entry.id)
        assert sorted(seen) == sorted(ids)
    finally:
        await client.aclose()


def named(reading: Reading) -> list[bytes]:
    return sorted(one.batch.id for one in reading.entries)


async def test_what_was_read_ahead_is_taken_only_where_it_goes_on(redis_url: str) -> None:
    """After a flush that failed, or with other shards, reading begins where the positions say."""
    client = redis.asyncio.Redis.from_url(redis_url, protocol=2)
    readings = Readings(StreamReader(client))
    try:
        for n in range(4):
            for shard in (0, 1):
                packed = records.join([b"x"])
                await client.xadd(streams.stream(shard), {records.BATCH: f"{shard}-{n}", records.RECORDS: packed})
        first = await readings.next(BEGINNING, 4, 100)
        assert named(first) == [b"0-0", b"0-1", b"1-0", b"1-1"]
        assert first.more == {0, 1}
        end = first.end(BEGINNING)

        readings.read_ahead(end, 4)
        assert named(await readings.next(end, 4, 100)) == [b"0-2", b"0-3", b"1-2", b"1-3"]

        readings.read_ahead(end, 4)
        assert named(await readings.next(BEGINNING, 4, 100)) == named(first), "the flush has failed"

        readings.read_ahead(end, 4)
        assert named(await readings.next({0: end[0]}, 4, 100)) == [b"0-2", b"0-3"], "shard 1 was given away"

        readings.read_ahead({0: f"{2**60}-0"}, 4)  # far behind the end: the stream was set back, for all that is known
        assert named(await readings.next(end, 4, 100)) == [b"0-2", b"0-3", b"1-2", b"1-3"]
    finally:
        await readings.close()
        await client.aclose()


async def test_what_was_counted_a_minute_ago_is_forgotten(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what was appended then and is counted only now; and also what was named by a clock that was ahead."""
    client = redis.asyncio.Redis.from_url(redis_url, protocol=2)
    name, ahead, clock = streams.stream(0), f"{2**45}-0", Clock()
    monkeypatch.setattr(reader, "time", SimpleNamespace(monotonic=clock))
    try:
        for one in ("1000-0", ahead):
            await client.xadd(name, {records.BATCH: one, records.RECORDS: records.join([])}, id=one)
        trimming = StreamReader(client)
        back = ((ahead, 0, 2), ("1000-0", 59, 2), ("1000-0", 59, 2))  # as where Postgres is restored from a copy
        for position, passes, left in (*back, ("1000-0", 1, 1), (ahead, 59, 1), (ahead, 60, 0)):
            clock.now += passes
            await trimming.trim(0, position)
            assert await client.xlen(name) == left
    finally:
        await client.aclose()


async def test_a_replica_that_lacks_what_was_counted_is_noticed(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock is behind: some of what it was given since lies before what was counted last, and is read, too."""
    monkeypatch.setattr(reader, "TRIM_MARGIN_MS", 0)
    client = redis.asyncio.Redis.from_url(redis_url, protocol=2)
    name = streams.stream(0)

    async def add(*ids: str) -> None:
        for one in ids:
            await client.xadd(name, {records.BATCH: one, records.RECORDS: records.join([])}, id=one)

    async def read() -> list[bytes]:
        return [entry.id for entry in (await StreamReader(client).read({0: "1005-0"}, 20_000, 1)).entries]

    try:
        await add("1000-0", "1005-0", "1006-0")
        assert await read() == [b"1006-0"]
        await client.delete(name)
        await add("1000-0", "1003-0", "1010-0")
        with pytest.raises(StreamSetBack, match="lacks 1005-0"):
            await StreamReader(client).trim(0, "1005-0")  # it has taken over when all was read from the one before
        assert await client.xlen(name) == 3
        with pytest.raises(StreamSetBack, match="lacks 1005-0"):
            await read()
        await client.xtrim(name, minid="1010-0", approximate=False)
        assert await read() == [b"1010-0"]
    finally:
        await client.aclose()


async def test_a_server_that_may_be_another_one_is_looked_at_before_it_is_read(redis_url: str) -> None:
    """Not only each second: within that its ids may pass the position, and what lies before it would be left out."""
    client = redis.asyncio.Redis.from_url(redis_url, protocol=2)
    name = streams.stream(0)

    async def hold(*ids: str) -> None:
        await client.delete(name)
        for one in ids:
            await client.xadd(name, {records.BATCH: one, records.RECORDS: records.join([])}, id=one)

    async def read(after: str) -> list[bytes]:
        return [entry.id for entry in (await looking.read({0: after}, 20_000, 1)).entries]

    try:
        for is_named in (True, False):
            looking = StreamReader(client)
            await hold("1000-0", "1005-0")
            assert await read("0-0") == [b"1000-0", b"1005-0"]
            await hold("1000-0", "1003-0", "1010-0")
            if is_named:  # by Sentinels, as redis-py keeps it
                pool: Any = client.connection_pool
                pool.master_address = ("another", 1)
            else:
                with pytest.raises(ResponseError):
                    await looking.read({0: "no id"}, 20_000, 1)
            with pytest.raises(StreamSetBack, match="lacks 1005-0"):
                await read("1005-0")
    finally:
        await client.aclose()
