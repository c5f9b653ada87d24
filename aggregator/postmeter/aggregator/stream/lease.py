"""Leases of shards, by the database's clock: who counts which stream.

A lease has an epoch, raised at each takeover. Commits are guarded by it, so an owner that has slept through
its lease cannot count anything; the lease only decides who tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from postmeter.aggregator import metrics
from postmeter.aggregator.errors import LeaseLost
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.aggregator.stream", "lease.sql")


@dataclass
class Lease:
    """A shard held under an epoch. position: up to where it is counted, as Postgres has it."""

    shard: int
    epoch: int
    position: str


class Move(NamedTuple):
    """A shard's position after a flush; its present one where the flush holds nothing of it."""

    lease: Lease
    to: str


async def advance(connection: Connection | Pool, moves: Sequence[Move]) -> None:
    """Move shards inside the caller's transaction. Raises LeaseLost where one is not held any more.

    `lease.position` stays as it is: only who knows of the commit may set it.
    """
    if not moves:
        return
    rows = [(move.lease.shard, move.lease.epoch, move.lease.position, move.to) for move in moves]
    moved = await connection.fetch(_QUERIES["advance"], *zip(*rows, strict=True))
    if len(moved) < len(moves):
        raise LeaseLost({shard for shard, *_ in rows} - {row["shard"] for row in moved})


async def committed(pool: Pool, leases: Sequence[Lease]) -> dict[int, str]:
    """Where these shards stand in Postgres. Raises LeaseLost."""
    rows = await pool.fetch(_QUERIES["positions"], [lease.shard for lease in leases], [lease.epoch for lease in leases])
    if len(rows) < len(leases):
        raise LeaseLost({lease.shard for lease in leases} - {row["shard"] for row in rows})
    return {row["shard"]: row["position"] for row in rows}


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
