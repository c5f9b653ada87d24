"""Histories through the real aggregator: its flushes one after the other, on a real Postgres."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from prometheus_client import CollectorRegistry

from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.fold import moments
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.stream.batches import Batch
from postmeter.aggregator.stream.lease import Lease, Leases, Move
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage import postgres
from tests.oracle.stories import Story, in_workspace


class Feeder:
    """An aggregator's part that counts, without its streams: what arrives when is the test's own choice."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", lease: Lease, flusher: Flusher) -> None:
        self._pool = pool
        self._lease = lease
        self._flusher = flusher
        self._position = 0

    async def feed(self, story: Story, workspace: int, noise: random.Random) -> None:
        """Count the story's batches over several flushes, some batches twice."""
        rest = [
            Batch(b"%d-%s" % (workspace, number), [in_workspace(record, workspace) for record in found])
            for number, found in story.batches(noise)
        ]
        while rest:
            size = noise.randint(1, 5)
            await self._flush(rest[:size])
            rest = rest[size:]

    async def _flush(self, batches: list[Batch]) -> None:
        self._position += 1
        position = f"{self._position}-0"
        async with self._pool.acquire() as connection:
            await self._flusher.flush(connection, [Move(self._lease, position)], batches)
        self._lease.position = position


@asynccontextmanager
async def feeder(dsn: str) -> AsyncIterator[Feeder]:
    """A feeder that holds the only shard until it is done."""
    settings = AggregatorSettings(postgres_dsn=Secret(dsn), redis_url=Secret("redis://nowhere"), shards=1)
    counters = AggregatorMetrics(CollectorRegistry())
    pool = await postgres.connect(settings, "feeder", 10, moments.prepare, moments.PLANS)
    try:
        leases = Leases(pool, "feeder", 3600.0, counters)
        await leases.enlist(1)
        await leases.renew()
        (lease,) = await leases.acquire(1)
        yield Feeder(pool, lease, Flusher(settings, counters))
        await leases.release(lease.shard, lease.epoch)
        await leases.leave()
    finally:
        await pool.close()
