"""Publishes what a commit has changed: metrics, live totals (ADR 0004), live events; wakes the purchases' resolver."""

from __future__ import annotations

import math
import time

import redis.asyncio
from redis.exceptions import OutOfMemoryError

from postmeter.aggregator import metrics
from postmeter.aggregator.conversions.resolver import Resolver
from postmeter.aggregator.live import onlookers
from postmeter.aggregator.outcome import Outcome
from postmeter.aggregator.store.tables import live_totals
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import source_log, streams
from postmeter.shared.stream.live_totals import LiveTotals, encode

_QUERIES = Queries("postmeter.aggregator.live", "publisher.sql")
LATE_SECONDS = 20.0
"""For so long a shard's previous owner may still publish its totals: Redis was away, or that process stood still."""
FULL_SECONDS = 1.0
"""After Redis was found full, until totals are offered to it again."""


class Publisher:
    """Live totals are absolute values of a shard, so that writing twice changes nothing.

    After a failure everything of a shard is published again, for Redis may have come back empty; and once more some
    time after the shard was taken, for the one before may have written late what was true then. A Redis that is full
    gets them later: counting goes on meanwhile, for what is counted is trimmed, which alone makes room.
    """

    def __init__(
        self, client: redis.asyncio.Redis, pool: Pool, counters: metrics.AggregatorMetrics, resolver: Resolver
    ) -> None:
        self._client = client
        self._pool = pool
        self._counters = counters
        self._resolver = resolver
        self._complete: set[int] = set()
        self._again_at: dict[int, float] = {}
        self._full_until = 0.0
        self._trouble = TroubleLog()

    def take(self, shard: int) -> None:
        """Publish this shard from now on."""
        self._again_at[shard] = time.monotonic() + LATE_SECONDS

    def suspect(self, shard: int) -> None:
        """Redis may have forgotten: publish everything of it next time."""
        self._complete.discard(shard)

    async def committed(self, shard: int, outcome: Outcome) -> None:
        """Publish what was counted. shard: the one whose live totals have grown. Raises as `publish`."""
        self._measure(outcome)
        if outcome.contacts.purchases or outcome.contacts.repeated:
            self._resolver.tell(outcome.contacts.repeated)
        for source, unread in outcome.unclear.items():
            await source_log.note_unread(self._client, source, unread)
        await self.publish(shard, outcome.live)
        await onlookers.show(self._client, outcome.shown)

    async def publish(self, shard: int, totals: dict[int, LiveTotals]) -> None:
        """Publish these, and everything else of the shard where that is due. Raises what Redis raises, unless full."""
        if self._again_at.get(shard, math.inf) <= time.monotonic():
            del self._again_at[shard]
            self._complete.discard(shard)
        if time.monotonic() < self._full_until:
            if totals:
                self._complete.discard(shard)
            return
        if shard not in self._complete:
            rows = await self._pool.fetch(_QUERIES["live"], shard)
            totals = live_totals(rows) | totals
        if totals:
            self._complete.discard(shard)
            try:
                await self._write(shard, totals)
            except OutOfMemoryError as error:
                self._full_until = time.monotonic() + FULL_SECONDS
                self._trouble.failed("Redis is full: live totals wait, counting goes on", error)
                return
            self._trouble.over("live totals are published again")
        self._complete.add(shard)

    async def _write(self, shard: int, totals: dict[int, LiveTotals]) -> None:
        async with self._client.pipeline(transaction=False) as pipeline:
            for workspace, total in totals.items():
                pipeline.hset(streams.live(workspace), str(shard), encode(total))
            await pipeline.execute()

    def _measure(self, outcome: Outcome) -> None:
        counters = self._counters
        for kind in ("hit", "event", "registration", "campaign", "consent"):
            counters.records.labels(kind).inc(getattr(outcome, f"{kind}s"))
        counters.records.labels("purchase").inc(outcome.contacts.purchases)
        counters.records.labels("custom").inc(outcome.contacts.custom)
        counters.duplicates.labels("purchase").inc(len(outcome.contacts.repeated))
        counters.unregistered.labels("made").inc(outcome.made)
        counters.unregistered.labels("registered").inc(outcome.adopted)
        counters.dead_letters.inc(outcome.dead_letters)
        for reason, n in outcome.judged.items():
            counters.judged_clicks.labels(reason).inc(n)
        for level, n in outcome.withheld.items():
            counters.withheld.labels(level.text).inc(n)
