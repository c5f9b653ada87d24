"""Adds to any rollup: all tiers at once, each in the order of its keys, so that flushes never deadlock."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from operator import itemgetter

from postmeter.aggregator.fold import deltas
from postmeter.aggregator.fold.deltas import Cells
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import ACTIVITY, COUNTERS, Rollup, Tier
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.aggregator.store", "rollups.sql")
_WIDE = frozenset({"size_bytes"})
"""Counters of which a flush may add more than 32 bits; sums of the others are quicker."""


def _key(rollup: Rollup) -> dict[str, str]:
    own = [rollup.key] if rollup.key else []
    return {"workspace": "int", "bucket": "timestamptz", "series": "bigint", **dict(own)}


def tiers_of(rollup: Rollup, horizon: Horizon) -> list[Tier]:
    """Those that are written, from fine to coarse. Services of the version before write theirs in the same order."""
    leaving = (tier for tier in rollup.leaving if tier.table in horizon.leaving)
    return sorted((*rollup.tiers, *leaving), key=lambda tier: tier.seconds)


@cache
def statement(rollup: Rollup, counters: tuple[str, ...], tiers: tuple[Tier, ...]) -> str:
    """What adds to some counters of these tiers."""
    types = {name: "numeric" if name in rollup.money else "bigint" if name in _WIDE else "int" for name in counters}
    columns = _key(rollup) | types
    adds = (_add_to(rollup, tier, counters, len(columns) + n) for n, tier in enumerate(tiers, 1))
    return _QUERIES["add_{rollup}"].format(
        rollup=rollup.name,
        columns=", ".join(columns),
        arrays=", ".join(f"${n}::{kind}[]" for n, kind in enumerate(columns.values(), 1)),
        tiers=", ".join(adds),
    )


def _add_to(rollup: Rollup, tier: Tier, counters: tuple[str, ...], oldest: int) -> str:
    key = _key(rollup)
    cast = {name: "numeric" if name in rollup.money else "bigint" for name in counters}
    is_finest = tier is rollup.tiers[0]
    summed = [f"sum({name})::{kind}" for name, kind in cast.items()]
    rows = "n"
    if is_finest and tier is not rollup.totals and rollup.totals is not None:
        rows = _QUERIES["of_series"].format(key=", ".join(key), counters=", ".join(counters), sums=", ".join(summed))
    return _QUERIES["add_{table}" if is_finest else "add_to_{table}"].format(
        table=tier.table,
        rows=rows,
        seconds=tier.seconds,
        columns=", ".join((*key, *counters)),
        key=", ".join(key),
        others=", ".join(list(key)[2:]),
        stored=", ".join(_stored(rollup, one) for one in (counters if is_finest else summed)),
        places=", ".join(str(n) for n in range(1, len(key) + 1)),
        sums=", ".join(f"{name} = {_stored(rollup, _both(rollup, name))}" for name in counters),
        oldest=oldest,
    )


def _stored(rollup: Rollup, number: str) -> str:
    """What stands for a number in the tables: null for 0 where most of a row are (ADR 0064)."""
    return f"postmeter_sparse({number})" if rollup.is_sparse else number


def _both(rollup: Rollup, name: str) -> str:
    one, other = f"known.{name}", f"excluded.{name}"
    return f"coalesce({one}, 0) + coalesce({other}, 0)" if rollup.is_sparse else f"{one} + {other}"


HITS = tuple(name for name in COUNTERS if name.endswith(("opens", "clicks")) and not name.startswith("anonymous"))
"""What flushes of nothing but opens and clicks add to: a third of the columns to send and to add."""
_PICK_HITS = itemgetter(*(COUNTERS.index(name) for name in HITS))
_PICK_OTHERS = itemgetter(*(place for place, name in enumerate(COUNTERS) if name not in HITS))


async def add(connection: Connection, rollup: Rollup, cells: Cells, horizon: Horizon) -> None:
    """Add these, in buckets of the finest tier, to every tier that keeps them, inside the caller's transaction."""
    counters, tiers = rollup.counters, tiers_of(rollup, horizon)
    if rollup is ACTIVITY and not any(map(any, map(_PICK_OTHERS, cells.values()))):
        counters, cells = HITS, {key: _PICK_HITS(counts) for key, counts in cells.items()}
    if rollup.totals is not None:
        cells = deltas.with_totals(cells, deltas.width(rollup.totals))
    rows = [(*key, *counts) for key, counts in cells.items() if key[1] < horizon.high and any(counts)]
    if rows:
        oldest = (horizon.oldest[tier.table] for tier in tiers)
        add_to = statement(rollup, counters, tuple(tiers))
        await connection.execute(add_to, *zip(*rows, strict=True), *oldest)


async def remove_empty(
    connection: Connection, rollup: Rollup, touched: Iterable[tuple[int, int, int]], horizon: Horizon
) -> None:
    """Take out rows of these buckets, in all tiers, that count nothing any more: nothing is listed with zeros.

    Only rows that the caller's transaction has changed itself may be named, so it waits for nobody.
    """
    cells: Cells = dict.fromkeys(touched, (1,))
    if rollup.totals is not None:
        cells = deltas.with_totals(cells)  # by the second, too: until migration 0043 there are such rows
    empty = " AND ".join(f"coalesce(t.{name}, 0) = 0" for name in rollup.counters)
    for tier in tiers_of(rollup, horizon):
        cells = deltas.widened(cells, deltas.width(tier))
        if cells:
            query = _QUERIES["remove_empty"].format(table=tier.table, empty=empty)
            await connection.execute(query, *zip(*sorted(cells), strict=True))
