"""Records put aside for a person to look at: a limited number for each workspace, so that nobody can flood the table.

Everything that cannot be counted ends up here, so it takes anything: what it is given is cleaned and cut before it is
stored, even where somebody else should have done that already.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import msgspec

from postmeter.aggregator import metrics
from postmeter.aggregator.stream.batches import Rejected
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import records
from postmeter.shared.stream.records import REFUSAL_BYTES, Event, Hit
from postmeter.shared.text import hosts, masking, quoting

_QUERIES = Queries("postmeter.aggregator.store", "dead_letters.sql")

RECOUNT_SECONDS = 10.0
REASON_CHARS = 1000


class DeadLetters:
    """Stores at most `limit` of a workspace (counted anew every ten seconds, so it may go a little over)."""

    def __init__(self, limit: int, network: Callable[[str], str | None], counters: metrics.AggregatorMetrics) -> None:
        """network: what may be kept of a client's address."""
        self._limit = limit
        self._network = network
        self._counters = counters
        self._counted: dict[int, tuple[float, int]] = {}

    async def put_aside(self, connection: Connection, shard: int, rejected: list[Rejected]) -> None:
        """Store these inside the caller's transaction, as far as there is room. Those of nobody are always stored.

        shard: of those that do not know theirs.
        """
        kept: list[tuple[int | None, int, str, str, bytes]] = []
        taken: Counter[int] = Counter()
        for one in rejected:
            workspace = one.workspace if one.workspace is not None and 0 < one.workspace < 2**31 else None
            if workspace is not None:
                if taken[workspace] >= await self._room(connection, workspace):
                    self._counters.dead_letters_dropped.inc()
                    continue
                taken[workspace] += 1
            kept.append((workspace, shard if one.shard is None else one.shard, *self._storable(one)))
        for workspace, n in taken.items():
            when, held = self._counted[workspace]
            self._counted[workspace] = (when, held + n)
        if kept:
            await connection.execute(_QUERIES["put_aside"], *zip(*kept, strict=True))

    async def _room(self, connection: Connection, workspace: int) -> int:
        when, held = self._counted.get(workspace, (0.0, 0))
        if not when or time.monotonic() - when > RECOUNT_SECONDS:
            held = await connection.fetchval(_QUERIES["count_dead_letters"], workspace, self._limit)
            self._counted[workspace] = (time.monotonic(), held)
        return max(0, self._limit - held)

    def _storable(self, one: Rejected) -> tuple[str, str, bytes]:
        """(batch, reason, bytes) as Postgres takes them for certain, and without what nobody may keep."""
        reason = quoting.clean(masking.masked(one.reason, 2 * REASON_CHARS), REASON_CHARS)
        if isinstance(one.record, bytes):
            packed = hosts.without_hosts(one.record[:REFUSAL_BYTES], self._network)
        elif isinstance(one.record, Hit | Event):
            packed = records.encode(msgspec.structs.replace(one.record, ip=self._network(one.record.ip) or ""))
        else:
            packed = records.encode(one.record)
        return quoting.quoted(one.batch)[1:-1], reason, packed[:REFUSAL_BYTES]
