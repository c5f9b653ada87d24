"""The number of shards that `postmeter shards set` has set, for producers and aggregators (ADR 0050)."""

from __future__ import annotations

from redis.asyncio import Redis

from postmeter.shared.stream.streams import SLOTS

KEY = "postmeter:shards"
"""String: the number. Where it is missing, POSTMETER_SHARDS holds."""


async def read(redis: Redis) -> int | None:
    """The number; None if none was set. Raises what Redis raises."""
    said = await redis.get(KEY)
    if said is None or not said.isdigit() or len(said) > 4:
        return None
    return min(int(said), SLOTS) or None


async def write(redis: Redis, shards: int) -> None:
    """Set it. Raises what Redis raises."""
    await redis.set(KEY, shards)
