"""Waits until everything that is in the streams now has been counted.

What was answered before a purchase was sent has been appended before it. So once every shard has committed what its
stream held after the purchase was read from one, that purchase's clicks are all in the tables.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import redis.asyncio
from redis.exceptions import ResponseError

from postmeter.aggregator.conversions.contacts import QUERIES
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.stream import streams

Position = tuple[int, int]
STALL_SECONDS = 30.0
"""A shard that has not moved for this long is no longer waited for."""
LOOK_SECONDS = 1.0
"""As much of that passes at most between two looks: this process may have stood still itself."""
PAUSES = (0.004, 0.05)


class CatchingUp:
    """Watches the positions of all shards, whoever counts them."""

    def __init__(self, pool: Pool, client: redis.asyncio.Redis, stall_seconds: float = STALL_SECONDS) -> None:
        self._pool = pool
        self._client = client
        self._stall = stall_seconds

    async def wait(self, stop: asyncio.Event) -> bool | None:
        """True once everything is counted that the streams hold at the call. False: a shard stands still, and
        purchases must not wait for it for ever. None: `stop` was set. Raises what Redis and Postgres raise.
        """
        pause = PAUSES[0]
        wanted: dict[int, Position] | None = None
        behind, stood, looked = dict[int, Position](), 0.0, time.monotonic()
        while not stop.is_set():
            stands = await self._positions()
            if wanted is None:
                wanted = await self._ends(list(stands))
                if any(wanted[shard] < at for shard, at in stands.items()):
                    # A stream was recreated; its worker will notice, and read it again from its beginning.
                    wanted = None
            late = {shard: at for shard, at in stands.items() if wanted is None or at < wanted.get(shard, at)}
            if not late:
                return True
            before, looked = looked, time.monotonic()
            stood = stood + min(looked - before, LOOK_SECONDS) if late == behind else 0.0
            behind = late
            if stood > self._stall:
                return False
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, PAUSES[1])
        return None

    async def _positions(self) -> dict[int, Position]:
        """Where each shard stands."""
        rows = await self._pool.fetch(QUERIES["positions"])
        return {row["shard"]: _order(row["position"]) for row in rows}

    async def _ends(self, shards: list[int]) -> dict[int, Position]:
        """The last id of each shard's stream; a stream that is missing ends where it begins."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for shard in shards:
                pipeline.xinfo_stream(streams.stream(shard))
            found = await pipeline.execute(raise_on_error=False)
        return {shard: _end(info) for shard, info in zip(shards, found, strict=True)}


def _end(info: Any) -> Position:
    if isinstance(info, ResponseError) and "no such key" in str(info):
        return (0, 0)
    if isinstance(info, Exception):
        raise info
    return _order(info["last-generated-id"].decode())


def _order(entry_id: str) -> Position:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
