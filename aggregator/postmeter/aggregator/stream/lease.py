"""Leases of shards, by the database's clock: who counts which stream.

A lease has an epoch, raised at each takeover. Commits are guarded by it, so an owner that has slept through
its lease cannot count anything; the lease only decides who tries.
"""

from __future__ import annotations

from dataclasses import dataclass

from postmeter.aggregator.store.queries import QUERIES
from postmeter.shared import logs, metrics
from postmeter.shared.postgres import Pool


@dataclass
class Lease:
    """A shard held under an epoch. position: up to where it is counted, as Postgres has it."""

    shard: int
    epoch: int
    position: str


class Leases:
    """One aggregator's part in sharing out the shards. `owner` is an id that no other process ever had."""

    def __init__(self, pool: Pool, owner: str, seconds: float, counters: metrics.AggregatorMetrics) -> None:
        self._pool = pool
        self._owner = owner
        self._seconds = seconds
        self._counters = counters

    async def enlist(self, shards: int) -> None:
        """Make the rows of the configured shards. Rows of more shards than configured are counted as well."""
        await self._pool.execute(QUERIES["enlist"], shards)

    async def renew(self) -> dict[int, int]:
        """Say that this aggregator lives. Returns the epochs of the shards it holds, by shard."""
        await self._pool.execute(QUERIES["heartbeat"], self._owner)
        rows = await self._pool.fetch(QUERIES["renew"], self._owner, self._seconds)
        return {row["shard"]: row["epoch"] for row in rows}

    async def share(self) -> int:
        """How many shards this aggregator should hold: shards over living aggregators, the rest by rank."""
        row = await self._pool.fetchrow(QUERIES["share"], self._seconds)
        assert row is not None
        self._counters.shards.set(row["shards"])
        living = row["living"]
        if self._owner not in living:
            return 0
        whole, rest = divmod(row["shards"], len(living))
        return int(whole + (living.index(self._owner) < rest))

    async def acquire(self, most: int) -> list[Lease]:
        """Lease up to that many shards whose owner is gone, each under a new epoch."""
        rows = await self._pool.fetch(QUERIES["acquire"], self._owner, self._seconds, most)
        for row in rows:
            if row["previous"] is not None:
                self._counters.takeovers.inc()
                logs.get().warning("shard taken over", shard=row["shard"], previous=row["previous"])
        return [Lease(row["shard"], row["epoch"], row["position"]) for row in rows]

    async def release(self, shard: int, epoch: int) -> None:
        """Give a shard back, so that others need not wait for the lease to run out."""
        await self._pool.execute(QUERIES["release"], shard, self._owner, epoch)

    async def leave(self) -> None:
        """Be no longer counted among the living."""
        await self._pool.execute(QUERIES["leave"], self._owner)
