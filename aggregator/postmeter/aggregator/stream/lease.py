"""Leases of shards, by the database's clock: who counts which stream.

A lease has an epoch, raised at each takeover. Commits are guarded by it, so an owner that has slept through
its lease cannot count anything; the lease only decides who tries.
"""

from __future__ import annotations

from dataclasses import dataclass

from postmeter.aggregator.errors import LeaseLost
from postmeter.shared import logs, metrics
from postmeter.shared.postgres import Connection, Pool
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.aggregator.stream", "lease.sql")


@dataclass
class Lease:
    """A shard held under an epoch. position: up to where it is counted, as Postgres has it."""

    shard: int
    epoch: int
    position: str


async def advance(connection: Connection | Pool, lease: Lease, position: str) -> None:
    """Move the shard inside the caller's transaction; to its own position it only says that the lease is still held.

    Raises LeaseLost. `lease.position` stays as it is: only who knows of the commit may set it.
    """
    held = await connection.fetchval(_QUERIES["advance"], lease.shard, lease.epoch, lease.position, position)
    if held is None:
        raise LeaseLost(f"shard {lease.shard}, epoch {lease.epoch}")


async def committed(pool: Pool, lease: Lease) -> str:
    """Where the shard stands in Postgres. Raises LeaseLost."""
    position: str | None = await pool.fetchval(_QUERIES["position"], lease.shard, lease.epoch)
    if position is None:
        raise LeaseLost(f"shard {lease.shard}, epoch {lease.epoch}")
    return position


class Leases:
    """One aggregator's part in sharing out the shards. `owner` is an id that no other process ever had."""

    def __init__(self, pool: Pool, owner: str, seconds: float, counters: metrics.AggregatorMetrics) -> None:
        self._pool = pool
        self._owner = owner
        self._seconds = seconds
        self._counters = counters

    async def enlist(self, shards: int) -> None:
        """Make the rows of the configured shards. Rows of more shards than configured are counted as well."""
        await self._pool.execute(_QUERIES["enlist"], shards)

    async def renew(self) -> dict[int, int]:
        """Say that this aggregator lives. Returns the epochs of the shards it holds, by shard."""
        await self._pool.execute(_QUERIES["heartbeat"], self._owner)
        rows = await self._pool.fetch(_QUERIES["renew"], self._owner, self._seconds)
        return {row["shard"]: row["epoch"] for row in rows}

    async def share(self) -> int:
        """How many shards this aggregator should hold: shards over living aggregators, the rest by rank."""
        row = await self._pool.fetchrow(_QUERIES["share"], self._seconds)
        assert row is not None
        self._counters.shards.set(row["shards"])
        living = row["living"]
        if self._owner not in living:
            return 0
        whole, rest = divmod(row["shards"], len(living))
        return int(whole + (living.index(self._owner) < rest))

    async def acquire(self, most: int) -> list[Lease]:
        """Lease up to that many shards whose owner is gone, each under a new epoch."""
        rows = await self._pool.fetch(_QUERIES["acquire"], self._owner, self._seconds, most)
        for row in rows:
            if row["previous"] is not None:
                self._counters.takeovers.inc()
                logs.get().warning("shard taken over", shard=row["shard"], previous=row["previous"])
        return [Lease(row["shard"], row["epoch"], row["position"]) for row in rows]

    async def release(self, shard: int, epoch: int) -> None:
        """Give a shard back, so that others need not wait for the lease to run out."""
        await self._pool.execute(_QUERIES["release"], shard, self._owner, epoch)

    async def leave(self) -> None:
        """Be no longer counted among the living."""
        await self._pool.execute(_QUERIES["leave"], self._owner)
