"""Writes a fold's changes: each table once, each in the order of its keys, so that flushes never deadlock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from operator import itemgetter
from typing import Any

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold import engagements
from postmeter.aggregator.fold.changes import HISTORY, Changes
from postmeter.aggregator.fold.clicks import settle
from postmeter.aggregator.fold.cohorts import Cohorts
from postmeter.aggregator.fold.deltas import Bucket, Cells
from postmeter.aggregator.fold.effects import INDEX
from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.aggregator.fold.rows import CLICK, OPEN
from postmeter.aggregator.fold.states import Key
from postmeter.aggregator.store import clicks, consents, packing, rollups
from postmeter.aggregator.store.memory import Transaction
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import ACTIVITY, CREATED, LINKS, REASONS, SENT
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import Engagement
from postmeter.shared.stream.live_totals import LiveTotals

_QUERIES = Queries("postmeter.aggregator.store", "tables.sql")
_WORKSPACE = itemgetter(0)


async def write_messages(held: Transaction, changes: Changes) -> None:
    """Write what single messages have come to, inside the caller's transaction: history, first engagements, states.

    What is found on the way, as of clicks that the history has already, is added to `changes`.
    """
    engaged = set[Key]().union(*changes.first.values())
    states = await held.hold(engaged, (*changes.progress, *changes.clicks))
    settled = settle(changes, states)
    found = engagements.fold(changes, states, clicks.early(changes) * MICROSECONDS, settled.corrected)
    held.remembered += settled.remembered
    await _write_history(held.connection, changes)
    lowered = await consents.write(held.connection, changes.chosen)
    await held.write_engagements(found.new)
    await held.move_engagements(found.moved)
    stretches = await clicks.deliveries(held.connection, changes)
    await _raise_states(held, changes)
    await clicks.correct(held, changes, settled.older)
    await clicks.judge(held, changes, settled.messages, found.alone, stretches)
    held.forget(lowered)
    await _note_last_opens(held.connection, changes)


async def _note_last_opens(connection: Connection, changes: Changes) -> None:
    """Of messages whose level is last_date only the day of the recipient's last open is kept."""
    rows = [
        (workspace, UUID(message), datetime.fromtimestamp(at // MICROSECONDS, UTC).date())
        for (workspace, message), at in sorted(changes.last_opens.items())
    ]
    if rows:
        await connection.execute(_QUERIES["note_last_opens"], *zip(*rows, strict=True))


async def write_notice(connection: Connection, changes: Changes, shard: int) -> dict[int, LiveTotals]:
    """Write, after `write_messages`, that answers are old now, and the live totals of the shard.

    Returns those of the workspaces touched.
    """
    await _raise_versions(connection, changes)
    return await _write_live(connection, changes, shard)


async def write_sums(connection: Connection, changes: Changes) -> None:
    """Add to the sums of events and messages, after `write_messages`."""
    await rollups.add(connection, REASONS, changes.reasons.counts, changes.horizon)
    await rollups.add(connection, ACTIVITY, changes.activity, changes.horizon)
    await rollups.add(connection, CREATED, changes.cohorts.created, changes.horizon)
    await rollups.add(connection, SENT, changes.cohorts.sent, changes.horizon)


async def _raise_states(held: Transaction, changes: Changes) -> None:
    """How far messages have come; what that tells about cohorts goes into the rollups."""
    if not changes.progress:
        return
    progress = [
        (workspace, UUID(message), p.state, p.sent_at, p.delivered_at)
        for (workspace, message), p in sorted(changes.progress.items())
    ]
    groups = await held.connection.fetch(_QUERIES["raise_messages"], *_columns(progress, 5))
    await _move_messages(held.connection, changes.cohorts, groups)
    for key, p in changes.progress.items():
        held.date(key, p.sent_at, p.delivered_at)


async def _move_messages(connection: Connection, cohorts: Cohorts, groups: list[asyncpg.Record]) -> None:
    """Messages whose state has risen, or that were sent (earlier): these take their engagements along."""
    mailed: list[tuple[int, UUID, int]] = []
    for place, row in enumerate(groups):
        workspace, series, n = row["workspace"], row["series"], row["n"]
        cohorts.rise(workspace, row["at"], series, row["was_state"], row["state"], n)
        if row["messages"] is not None:
            cohorts.mail(workspace, row["was"], row["sent"], series, n)
            mailed += [(workspace, message, place) for message in row["messages"]]
    if mailed:
        for row in await connection.fetch(_QUERIES["engagements_of"], *_columns(mailed, 3)):
            group, kind = groups[row["place"]], Engagement(row["kind"])
            if group["was"] is not None:
                cohorts.engage(group["workspace"], group["was"], group["series"], kind, -row["n"])
            cohorts.engage(group["workspace"], group["sent"], group["series"], kind, row["n"])


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[Sequence[object]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


async def _write_history(connection: Connection, changes: Changes) -> None:
    oldest = changes.horizon.oldest["event"]
    rows = changes.history
    if oldest > changes.horizon.low:
        at = HISTORY.index("at")
        rows = [row for row in rows if row[at] >= oldest]
    await packing.copy(connection, "event", OPEN, changes.plain_opens)
    await packing.copy(connection, "event", CLICK, changes.plain_clicks)
    if rows:
        await connection.copy_records_to_table("event", records=rows, columns=HISTORY)


async def remove_emptied(connection: Connection, changes: Changes) -> None:
    """Take out rows of rollups that counted only what these changes, which the caller has written, moved away."""
    for rollup, cells in (
        (ACTIVITY, changes.activity),
        (CREATED, changes.cohorts.created),
        (SENT, changes.cohorts.sent),
        (REASONS, changes.reasons.counts),
    ):
        await rollups.remove_empty(connection, rollup, _touched(cells), changes.horizon)
    relinked = (key[:3] for key, n in changes.relinked.items() if n)
    await rollups.remove_empty(connection, LINKS, relinked, changes.horizon)


def _touched(cells: Cells) -> Iterator[Bucket]:
    return (key[:3] for key, counts in cells.items() if any(counts))


async def _raise_versions(connection: Connection, changes: Changes) -> None:
    """Of every workspace that any table of these changes has rows of: what is kept of its answers is old (ADR 0046)."""
    sums: list[Iterable[tuple[Any, ...]]] = [changes.activity, changes.cohorts.created, changes.cohorts.sent]
    of_messages: list[Iterable[tuple[Any, ...]]] = [*changes.first.values(), changes.progress, changes.clicks]
    touched = set(map(_WORKSPACE, chain(changes.history, *sums, *of_messages)))
    await connection.execute(_QUERIES["raise_versions"], sorted(touched))


async def _write_live(connection: Connection, changes: Changes, shard: int) -> dict[int, LiveTotals]:
    by_workspace: dict[int, list[list[int]]] = {}
    for (workspace, _, _), counts in changes.activity.items():
        by_workspace.setdefault(workspace, []).append(counts)
    rows = []
    for workspace, found in sorted(by_workspace.items()):
        sums = list(map(sum, zip(*found, strict=True)))
        totals = [sum(sums[counter] for counter in counters) for counters in _LIVE_COUNTERS]
        if any(totals):
            rows.append((workspace, *totals))
    if not rows:
        return {}
    workspaces, *columns = zip(*rows, strict=True)
    return live_totals(await connection.fetch(_QUERIES["raise_live"], workspaces, shard, *columns))


LIVE = {
    "opens": ("human_opens", "proxy_opens"),
    "unique_opens": ("unique_opens",),
    "machine_opens": ("machine_opens",),
    "clicks": ("human_clicks",),
    "unique_clicks": ("unique_clicks",),
    "machine_clicks": ("machine_clicks",),
}
"""The counters that each live total sums up."""
_LIVE_COUNTERS = [[INDEX[name] for name in names] for names in LIVE.values()]


def live_totals(rows: Sequence[asyncpg.Record]) -> dict[int, LiveTotals]:
    """Rows of `live_total` by workspace."""
    return {row["workspace"]: LiveTotals(**{name: row[name] for name in LIVE}) for row in rows}
