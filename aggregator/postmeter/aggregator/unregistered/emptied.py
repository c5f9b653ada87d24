"""Rows of rollups that counted only what has been moved away: taken out, so that nothing is listed with zeros."""

from __future__ import annotations

from collections import Counter

from postmeter.aggregator.fold import bounce_reasons
from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.deltas import Deltas, widened, with_totals
from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.aggregator.store.links import Click
from postmeter.shared.postgres import Connection
from postmeter.shared.rollups import ACTIVITY, CREATED, LINKS, SENT, Rollup
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.aggregator.unregistered", "emptied.sql")


async def remove(connection: Connection, changes: Changes, clicks: Counter[Click]) -> None:
    """Take out what these changes, which this transaction has written, have left empty.

    Only rows that the transaction has changed itself are touched, so it waits for nobody.
    """
    await _remove(connection, ACTIVITY, changes.activity)
    await _remove(connection, CREATED, changes.cohorts.created)
    await _remove(connection, SENT, changes.cohorts.sent)
    reasons = {(workspace, day, series) for (workspace, day, series, _), n in changes.reasons.counts.items() if n}
    await _delete(connection, bounce_reasons.TABLE, ("bounced",), reasons)
    for tier in LINKS.tiers:
        width = tier.seconds * MICROSECONDS
        cells = {(workspace, at - at % width, series) for (workspace, at, series, _, _), n in clicks.items() if n}
        await _delete(connection, tier.table, LINKS.counters, cells)


async def _remove(connection: Connection, rollup: Rollup, deltas: Deltas) -> None:
    deltas = with_totals(deltas)
    for tier in rollup.tiers:
        deltas = widened(deltas, tier.seconds * MICROSECONDS)
        changed = {key for key, counts in deltas.items() if any(counts)}
        await _delete(connection, tier.table, rollup.counters, changed)


async def _delete(
    connection: Connection, table: str, counters: tuple[str, ...], changed: set[tuple[int, int, int]]
) -> None:
    if changed:
        empty = " AND ".join(f"t.{name} = 0" for name in counters)
        query = _QUERIES["remove_empty"].format(table=table, empty=empty)
        await connection.execute(query, *zip(*sorted(changed), strict=True))
