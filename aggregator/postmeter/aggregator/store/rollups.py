"""Adds to rollups, whichever: every tier that keeps it, in the order of its keys, so that flushes never deadlock."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from postmeter.aggregator.fold import deltas
from postmeter.aggregator.fold.deltas import Cells
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import ACTIVITY, COUNTERS, ROLLUPS, Rollup, Tier
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.aggregator.store", "rollups.sql")


def _add(rollup: Rollup, tier: Tier, counters: tuple[str, ...]) -> str:
    types = {name: "numeric" if name in rollup.money else "bigint" for name in counters}
    columns = {
        "workspace": "int",
        "bucket": "timestamptz",
        "series": "bigint",
        **dict([rollup.key] if rollup.key else []),
    }
    return _QUERIES["add_{table}"].format(
        table=tier.table,
        columns=", ".join((*columns, *counters)),
        arrays=", ".join(f"${n}::{kind}[]" for n, kind in enumerate((*columns.values(), *types.values()), 1)),
        key=", ".join(columns),
        sums=", ".join(f"{name} = known.{name} + excluded.{name}" for name in counters),
    )


ADD = {tier.table: _add(rollup, tier, rollup.counters) for rollup in ROLLUPS for tier in rollup.tiers}
"""By table, the statement that adds to its counters."""
HITS = tuple(name for name in COUNTERS if name.endswith(("opens", "clicks")))
ADD_HITS = {tier.table: _add(ACTIVITY, tier, HITS) for tier in ACTIVITY.tiers}
"""The same for flushes of nothing but opens and clicks: a third of the columns to send and to add."""
_PICK_HITS = itemgetter(*(COUNTERS.index(name) for name in HITS))
_OTHERS = tuple(place for place, name in enumerate(COUNTERS) if name not in HITS)


async def add(connection: Connection, rollup: Rollup, cells: Cells, horizon: Horizon) -> None:
    """Add these to every tier that keeps them, inside the caller's transaction."""
    statements = ADD
    if rollup is ACTIVITY and not any(counts[place] for counts in cells.values() for place in _OTHERS):
        statements, cells = ADD_HITS, {key: _PICK_HITS(counts) for key, counts in cells.items()}
    for tier, rows in deltas.rows(rollup, cells, horizon):
        await connection.execute(statements[tier.table], *zip(*rows, strict=True))


async def remove_empty(connection: Connection, rollup: Rollup, touched: Iterable[tuple[int, int, int]]) -> None:
    """Take out rows of these buckets, in all tiers, that count nothing any more: nothing is listed with zeros.

    Only rows that the caller's transaction has changed itself may be named, so it waits for nobody.
    """
    cells: Cells = dict.fromkeys(touched, (1,))
    if rollup.total:
        cells = deltas.with_totals(cells)
    empty = " AND ".join(f"t.{name} = 0" for name in rollup.counters)
    for tier in rollup.tiers:
        cells = deltas.widened(cells, deltas.width(tier))
        if cells:
            query = _QUERIES["remove_empty"].format(table=tier.table, empty=empty)
            await connection.execute(query, *zip(*sorted(cells), strict=True))
