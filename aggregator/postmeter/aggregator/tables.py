"""Writes a fold's changes: each table once, each in the order of its keys, so that flushes never deadlock."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.changes import HISTORY, Changes
from postmeter.aggregator.effects import INDEX, UNIQUES
from postmeter.aggregator.moments import MICROSECONDS
from postmeter.aggregator.queries import QUERIES, add_activity
from postmeter.shared.events import Engagement
from postmeter.shared.live import LiveTotals
from postmeter.shared.postgres import Connection
from postmeter.shared.rollups import TIERS, Tier

ADD_ACTIVITY = {tier.table: add_activity(tier) for tier in TIERS}


async def write(connection: Connection, changes: Changes, shard: int) -> dict[int, LiveTotals]:
    """Write everything inside the caller's transaction. Returns the live totals of the workspaces touched.

    What other flushes may wait for comes last: the messages that several shards saw at once, and the rollups,
    which all flushes add to.
    """
    await _write_history(connection, changes)
    await _write_progress(connection, changes)
    await _write_first(connection, changes)
    for tier in TIERS:
        await _write_activity(connection, changes, tier)
    return await _write_live(connection, changes, shard)


async def _write_first(connection: Connection, changes: Changes) -> None:
    """First engagements; what they tell about uniques goes into the activity. A unique moves with its first."""
    rows = [
        (workspace, UUID(message), kind, at, series)
        for kind, first in ((int(kind), first) for kind, first in changes.first.items())
        for (workspace, message), (at, series) in first.items()
    ]
    if not rows:
        return
    for row in await connection.fetch(QUERIES["first"], *zip(*rows, strict=True)):
        counter = UNIQUES[Engagement(row["kind"])]
        changes.count(row["workspace"], row["at"], row["series"], counter, row["n"])
        if row["was"] is not None:
            changes.count(row["workspace"], row["was"], row["series"], counter, -row["n"])


async def _write_progress(connection: Connection, changes: Changes) -> None:
    if not changes.progress:
        return
    keys = sorted(changes.progress)
    workspaces, ids = [workspace for workspace, _ in keys], [UUID(message) for _, message in keys]
    await connection.execute(QUERIES["lock_messages"], workspaces, ids)
    rows = [changes.progress[key] for key in keys]
    states, sent, delivered = zip(*((p.state, p.sent_at, p.delivered_at) for p in rows), strict=True)
    await connection.execute(QUERIES["raise_states"], workspaces, ids, states, sent, delivered)


async def _write_history(connection: Connection, changes: Changes) -> None:
    oldest = changes.horizon.oldest["event"]
    rows = changes.history
    if oldest > changes.horizon.low:
        at = HISTORY.index("at")
        rows = [row for row in rows if row[at] >= oldest]  # type: ignore[operator]
    if rows:
        await connection.copy_records_to_table("event", records=rows, columns=HISTORY)


async def _write_activity(connection: Connection, changes: Changes, tier: Tier) -> None:
    width, oldest = tier.seconds * MICROSECONDS, changes.horizon.oldest[tier.table]
    merged: dict[tuple[int, int, int], list[int]] = {}
    for (workspace, start, series), counts in changes.activity.items():
        key = (workspace, start - start % width, series)
        if key[1] >= oldest:
            known = merged.get(key)
            merged[key] = counts if known is None else [a + b for a, b in zip(known, counts, strict=True)]
    rows = [(*key, *counts) for key, counts in merged.items() if any(counts)]
    if rows:
        await connection.execute(ADD_ACTIVITY[tier.table], *zip(*rows, strict=True))


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
