"""Whether what this service appends is counted by anybody: a look for Advice."""

from __future__ import annotations

from redis.asyncio import Redis

from postmeter.shared.stream.streams import stream

WAITING_SECONDS = 300
"""An aggregator forgets what it has counted after a minute: what is much older nobody has counted, or only just now."""
LOOKED_AT = 4
"""Shards: records go to all of them, and an entry may be large."""


async def uncounted(redis: Redis, shards: int) -> str | None:
    """That entries have waited for too long, as where aggregators have another Redis; None while they have not."""
    seconds, _ = await redis.time()
    for shard in range(min(shards, LOOKED_AT)):
        for entry, _ in await redis.xrange(stream(shard), count=1) or ():
            assert isinstance(entry, bytes)
            if int(entry.partition(b"-")[0]) // 1000 < seconds - WAITING_SECONDS:
                return (
                    f"nobody counts what is in shard {shard}, some of it for more than {WAITING_SECONDS} seconds: see"
                    " whether an aggregator is ready, and has the POSTMETER_REDIS_URL of this service"
                )
    return None
