"""Writes a fold's changes: each table once, each in the order of its keys, so that flushes never deadlock."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.changes import HISTORY, Changes
from postmeter.aggregator.deltas import Deltas, widened, with_totals
from postmeter.aggregator.effects import INDEX, UNIQUES
from postmeter.aggregator.horizon import Horizon
from postmeter.aggregator.moments import MICROSECONDS
from postmeter.aggregator.queries import COHORTS, QUERIES, add_counts
from postmeter.shared.events import Engagement
from postmeter.shared.live import LiveTotals
from postmeter.shared.postgres import Connection
from postmeter.shared.rollups import ACTIVITY, CREATED, SENT, Rollup

ADD = {tier.table: add_counts(tier, rollup.counters) for rollup in (ACTIVITY, CREATED, SENT) for tier in rollup.tiers}
"""By table, the statement that adds to its counters."""


async def write(connection: Connection, changes: Changes, shard: int) -> dict[int, LiveTotals]:
    """Write everything inside the caller's transaction. Returns the live totals of the workspaces touched.

    What other flushes may wait for comes last: the engagements and messages that several shards saw at once, and
    the rollups, which all flushes add to.
    """
    await _write_history(connection, changes)
    await _write_first(connection, changes)
    await _write_progress(connection, changes)
    await _write_rollup(connection, changes.horizon, ACTIVITY, changes.activity)
    await _write_rollup(connection, changes.horizon, CREATED, changes.cohorts.created)
    await _write_rollup(connection, changes.horizon, SENT, changes.cohorts.sent)
    return await _write_live(connection, changes, shard)


async def _write_first(connection: Connection, changes: Changes) -> None:
    """First engagements, and the locks of the messages that change; what they tell goes into the rollups.

    A unique moves with its first.
    """
    rows = [
        (workspace, UUID(message), kind, at, series)
        for kind, first in ((int(kind), first) for kind, first in changes.first.items())
        for (workspace, message), (at, series) in first.items()
    ]
    if not rows and not changes.progress:
        return
    engagements = zip(*rows, strict=True) if rows else ([], [], [], [], [])
    messages = zip(*((workspace, UUID(message)) for workspace, message in changes.progress), strict=True)
    for row in await connection.fetch(COHORTS["first"], *engagements, *(messages if changes.progress else ([], []))):
        kind, n = Engagement(row["kind"]), row["n"]
        place = row["workspace"], row["at"], row["series"]
        changes.count(*place, UNIQUES[kind], n)
        if row["was"] is not None:
            changes.count(row["workspace"], row["was"], row["series"], UNIQUES[kind], -n)
        if row["sent"] is not None:
            changes.cohorts.engage(row["workspace"], row["sent"], row["series"], kind, n)


async def _write_progress(connection: Connection, changes: Changes) -> None:
    """States and times of messages, and what their change means for the cohorts."""
    if not changes.progress:
        return
    rows = [
        (workspace, UUID(message), p.state, p.sent_at, p.delivered_at)
        for (workspace, message), p in changes.progress.items()
    ]
    for row in await connection.fetch(COHORTS["raise_states"], *zip(*rows, strict=True)):
        changes.cohorts.move(row)


async def _write_history(connection: Connection, changes: Changes) -> None:
    oldest = changes.horizon.oldest["event"]
    rows = changes.history
    if oldest > changes.horizon.low:
        at = HISTORY.index("at")
        rows = [row for row in rows if row[at] >= oldest]  # type: ignore[operator]
    if rows:
        await connection.copy_records_to_table("event", records=rows, columns=HISTORY)


async def _write_rollup(connection: Connection, horizon: Horizon, rollup: Rollup, deltas: Deltas) -> None:
    """Add to every tier what it keeps, with the workspaces' totals."""
    deltas = with_totals(deltas)
    for tier in rollup.tiers:
        deltas, oldest = widened(deltas, tier.seconds * MICROSECONDS), horizon.oldest[tier.table]
        rows = [(*key, *counts) for key, counts in deltas.items() if oldest <= key[1] < horizon.high and any(counts)]
        if rows:
            await connection.execute(ADD[tier.table], *zip(*rows, strict=True))


async def _write_live(connection: Connection, changes: Changes, shard: int) -> dict[int, LiveTotals]:
    grown: dict[int, list[int]] = {}
    for (workspace, _, _), counts in changes.activity.items():
        totals = grown.setdefault(workspace, [0] * len(LIVE))
        for place, names in enumerate(LIVE.values()):
            totals[place] += sum(counts[INDEX[name]] for name in names)
    rows = [(workspace, *totals) for workspace, totals in sorted(grown.items()) if any(totals)]
    if not rows:
        return {}
    workspaces, *columns = zip(*rows, strict=True)
    return live_totals(await connection.fetch(QUERIES["raise_live"], workspaces, shard, *columns))


LIVE = {
    "opens": ("human_opens", "proxy_opens"),
    "unique_opens": ("unique_opens",),
    "machine_opens": ("machine_opens",),
    "clicks": ("human_clicks",),
    "unique_clicks": ("unique_clicks",),
    "machine_clicks": ("machine_clicks",),
}
"""The counters that each live total sums up."""


def live_totals(rows: Sequence[asyncpg.Record]) -> dict[int, LiveTotals]:
    """Rows of `live_total` by workspace."""
    return {row["workspace"]: LiveTotals(**{name: row[name] for name in LIVE}) for row in rows}
