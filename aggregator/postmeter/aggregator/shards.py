"""Keeps this aggregator's share of the shards leased, and shared out among its workers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from postmeter.aggregator import metrics
from postmeter.aggregator.errors import TROUBLE, ShardStalled
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.stream.lease import Leases
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.aggregator.worker import Worker
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.stream.redis_failures import FAILURES

ROUNDS_PER_LEASE = 5


class Shards:
    """Renews, takes over and gives back leases until stopped; then everything is finished and given back."""

    def __init__(
        self,
        pool: Pool,
        settings: AggregatorSettings,
        counters: metrics.AggregatorMetrics,
        workers: Sequence[Worker],
        said: Callable[[], Awaitable[int | None]],
    ) -> None:
        """said: how many shards producers are told to use; None: as many as are configured."""
        self._settings = settings
        self._counters = counters
        self._workers = workers
        self._leases = Leases(pool, uuid.uuid4().hex, settings.lease_seconds, counters)
        self._counted_by: dict[int, Worker] = {}
        self._said = said

    async def run(self, stop: asyncio.Event) -> None:
        """Share in the counting until `stop` is set."""
        pause = self._settings.lease_seconds / ROUNDS_PER_LEASE
        trouble = TroubleLog()
        while not stop.is_set():
            try:
                await self._round()
                trouble.over("leases are renewed again")
            except Exception as error:
                # Whatever it is, it must not stop the workers: commits are guarded without the leases.
                trouble.failed("leases could not be renewed, trying again", error)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
        await self._give_back(list(self._counted_by))
        for worker in self._workers:
            worker.stop()
        with suppress(*TROUBLE):
            await self._leases.leave()

    async def check(self) -> None:
        """Raise ShardStalled while a shard held here stands still."""
        stalled = [said for worker in self._workers for said in worker.stalled()]
        if stalled:
            raise ShardStalled("; ".join(stalled))

    async def _round(self) -> None:
        await self._leases.enlist(max(self._settings.shards, await self._said_lately()))
        held = await self._leases.renew()
        for shard, worker in list(self._counted_by.items()):
            lease = worker.leases.get(shard)
            if lease is None or held.get(shard) != lease.epoch:
                await self._give_back([shard])
        # A lease that nobody counts is left from a round that was cut off; under a new epoch it is safe to use.
        for shard, epoch in held.items():
            if shard not in self._counted_by:
                await self._leases.release(shard, epoch)
        share = await self._leases.share()
        await self._give_back(sorted(self._counted_by)[share:])
        if len(self._counted_by) < share:
            for lease in await self._leases.acquire(share - len(self._counted_by)):
                worker = min(self._workers, key=lambda worker: len(worker.leases))
                worker.take(lease)
                self._counted_by[lease.shard] = worker
        self._counters.leases.set(len(self._counted_by))

    async def _said_lately(self) -> int:
        """What was said of the number of shards; without Redis nothing new is."""
        with suppress(*FAILURES):
            return await self._said() or 0
        return 0

    async def _give_back(self, shards: list[int]) -> None:
        """Let flushes in hand end, then release the leases."""
        given = {shard: self._counted_by[shard].leases.get(shard) for shard in shards}
        await asyncio.gather(*(self._counted_by.pop(shard).give(shard) for shard in shards))
        for shard, lease in given.items():
            if lease is not None:
                with suppress(*TROUBLE):
                    await self._leases.release(shard, lease.epoch)
