"""Publishes live totals to Redis after each commit (ADR 0004)."""

from __future__ import annotations

import redis.asyncio

from postmeter.aggregator.store.tables import live_totals
from postmeter.shared import live, streams
from postmeter.shared.live import LiveTotals
from postmeter.shared.postgres import Pool
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.aggregator.live", "totals.sql")


class LivePublisher:
    """Writes one shard's totals, absolute values, so that writing twice changes nothing.

    After a failure everything of the shard is published again, for Redis may have come back empty.
    """

    def __init__(self, client: redis.asyncio.Redis, pool: Pool, shard: int) -> None:
        self._client = client
        self._pool = pool
        self._shard = shard
        self._complete = False

    def suspect(self) -> None:
        """Redis may have forgotten: publish everything next time."""
        self._complete = False

    async def publish(self, totals: dict[int, LiveTotals]) -> None:
        """Publish these, and everything else of the shard where that is due. Raises what Redis raises."""
        if not self._complete:
            rows = await self._pool.fetch(_QUERIES["live"], self._shard)
            totals = live_totals(rows) | totals
        if totals:
            self._complete = False
            async with self._client.pipeline(transaction=False) as pipeline:
                for workspace, total in totals.items():
                    pipeline.hset(streams.live(workspace), str(self._shard), live.encode(total))
                await pipeline.execute()
        self._complete = True
