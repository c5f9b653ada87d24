"""How much one reading of the streams takes into memory."""

import redis.asyncio

from postmeter.aggregator.stream.lease import Lease
from postmeter.aggregator.stream.reader import MOST_BYTES, StreamReader
from postmeter.shared.stream import records, streams

ENTRY = 2 << 20


async def test_one_reading_holds_so_many_bytes_and_the_next_goes_on_behind_it(redis_url: str) -> None:
    """However many records it may hold: a record may be small or as large as a letter."""
    client = redis.asyncio.Redis.from_url(redis_url, protocol=2)
    try:
        packed = records.join([b"x"]).ljust(ENTRY, b"x")
        ids = [
            await client.xadd(streams.stream(shard), {records.BATCH: f"{shard}-{n}", records.RECORDS: packed})
            for n in range(12)
            for shard in (0, 1)
        ]
        reader, leases = StreamReader(client), [Lease(shard, 1, "0-0") for shard in (0, 1)]
        seen: list[bytes] = []
        for reading in range(2):
            found = await reader.read(leases, 20_000, 100)
            assert sum(len(entry.packed) for entry in found.entries) <= MOST_BYTES + 2 * ENTRY
            assert found.more == ({0, 1} if reading == 0 else set())
            for entry in found.entries:
                assert entry.shard is not None
                leases[entry.shard].position = entry.id.decode()
                seen.append(entry.id)
        assert sorted(seen) == sorted(ids)
    finally:
        await client.aclose()
