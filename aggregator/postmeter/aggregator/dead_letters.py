"""Records put aside: kept for a person to look at, of each workspace only so many, so that nobody floods the table.

This is where everything ends that cannot be counted, so it takes anything: whatever it is given is cleaned and cut here
before it is stored, whoever should have done that before.
"""

from __future__ import annotations

import time
from collections import Counter

from postmeter.aggregator.batches import Rejected
from postmeter.aggregator.queries import QUERIES
from postmeter.shared import metrics, quoting
from postmeter.shared.postgres import Connection
from postmeter.shared.records import REFUSAL_BYTES

RECOUNT_SECONDS = 10.0
REASON_CHARS = 1000


class DeadLetters:
    """Stores at most `limit` of a workspace (counted anew every ten seconds, so it may go a little over)."""

    def __init__(self, limit: int, counters: metrics.AggregatorMetrics) -> None:
        self._limit = limit
        self._counters = counters
        self._counted: dict[int, tuple[float, int]] = {}

    async def put_aside(self, connection: Connection, shard: int, rejected: list[Rejected]) -> None:
        """Store these inside the caller's transaction, as far as there is room. Those of nobody are always stored."""
        kept: list[Rejected] = []
        taken: Counter[int] = Counter()
        for one in map(_storable, rejected):
            if one.workspace is not None:
                if taken[one.workspace] >= await self._room(connection, one.workspace):
                    self._counters.dead_letters_dropped.inc()
                    continue
                taken[one.workspace] += 1
            kept.append(one)
        for workspace, n in taken.items():
            when, held = self._counted[workspace]
            self._counted[workspace] = (when, held + n)
        if kept:
            rows = [(r.workspace, quoting.quoted(r.batch)[1:-1], r.reason, r.packed) for r in kept]
            workspaces, batches, reasons, packed = zip(*rows, strict=True)
            await connection.execute(QUERIES["put_aside"], workspaces, shard, batches, reasons, packed)

    async def _room(self, connection: Connection, workspace: int) -> int:
        when, held = self._counted.get(workspace, (0.0, 0))
        if not when or time.monotonic() - when > RECOUNT_SECONDS:
            held = await connection.fetchval(QUERIES["count_dead_letters"], workspace, self._limit)
            self._counted[workspace] = (time.monotonic(), held)
        return max(0, self._limit - held)


def _storable(one: Rejected) -> Rejected:
    """The same as Postgres takes it for certain. An impossible workspace is nobody's."""
    workspace = one.workspace if one.workspace is not None and 0 < one.workspace < 2**31 else None
    return Rejected(quoting.clean(one.reason, REASON_CHARS), one.packed[:REFUSAL_BYTES], one.batch, workspace)
