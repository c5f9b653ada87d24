"""Keeps this aggregator's share of the shards leased, and has them counted."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress

from postmeter.aggregator import metrics
from postmeter.aggregator.crew import Crew
from postmeter.aggregator.errors import TROUBLE, ShardStalled
from postmeter.aggregator.held import nowhere
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.store import server_run
from postmeter.aggregator.stream.lease import Leases
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.stream.redis_clients import FAILURES

ROUNDS_PER_LEASE = 5


class Shards:
    """Renews, takes over and gives back leases until stopped; then everything is finished and given back."""

    def __init__(
        self,
        pool: Pool,
        settings: AggregatorSettings,
        counters: metrics.AggregatorMetrics,
        crew: Crew,
        said: Callable[[], Awaitable[int | None]],
    ) -> None:
        """said: how many shards producers are told to use; None: as many as are configured."""
        self._pool = pool
        self._settings = settings
        self._pause = settings.lease_seconds / ROUNDS_PER_LEASE
        self._counters = counters
        self._crew = crew
        self._leases = Leases(pool, uuid.uuid4().hex, settings.lease_seconds, counters)
        self._said = said

    async def run(self, stop: asyncio.Event) -> None:
        """Share in the counting until `stop` is set."""
        trouble = TroubleLog()
        while not stop.is_set():
            try:
                await self._round()
                trouble.over("leases are renewed again")
            except Exception as error:
                # Whatever it is, it must not stop the workers: commits are guarded without the leases.
                trouble.failed("leases could not be renewed, trying again", error)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), self._pause)
        await self._give_back(self._crew.shards)
        self._crew.stop()
        with suppress(*TROUBLE):
            await self._leases.leave()

    async def check(self) -> None:
        """Raise ShardStalled while a shard held here stands still."""
        if stalled := [held for held in self._crew.held if held.stalled]:
            raise ShardStalled(nowhere(stalled))

    def warning(self) -> str | None:
        """Which shards held here get nowhere, and why; those that stand still fail `check`."""
        return nowhere([held for held in self._crew.held if held.slow]) or None

    async def _round(self) -> None:
        async with self._pool.acquire() as connection:  # whoever's clock lets them count nothing leaves it to others
            await server_run.compare_clocks(connection)
        await self._leases.enlist(max(self._settings.shards, await self._said_lately()))
        held = await self._leases.renew()
        leases = self._crew.leases
        for shard in self._crew.shards:
            lease = leases.get(shard)
            if lease is None or held.get(shard) != lease.epoch:
                await self._give_back([shard])
        # A lease that nobody counts is left from a round that was cut off; under a new epoch it is safe to use.
        for shard, epoch in held.items():
            if shard not in self._crew.shards:
                await self._leases.release(shard, epoch)
        share = await self._leases.share()
        await self._give_back(self._crew.shards[share:])
        if (wanted := share - len(self._crew.shards)) > 0:
            for lease in await self._leases.acquire(wanted):
                self._crew.take(lease)
        self._counters.leases.set(len(self._crew.shards))

    async def _said_lately(self) -> int:
        """What was said of the number of shards; without Redis nothing new is."""
        with suppress(*FAILURES):
            return await self._said() or 0
        return 0

    async def _give_back(self, shards: list[int]) -> None:
        """Let flushes in hand end, then release the leases; however long they take, no lease runs out meanwhile."""
        given = self._crew.leases
        giving = asyncio.create_task(self._crew.give(shards))
        while not (await asyncio.wait([giving], timeout=self._pause))[0]:
            with suppress(*TROUBLE):
                await self._leases.renew()
        await giving
        for shard in shards:
            if (lease := given.get(shard)) is not None:
                with suppress(*TROUBLE):
                    await self._leases.release(shard, lease.epoch)
