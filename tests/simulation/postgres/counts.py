"""Rollups and live totals."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from postmeter.shared.storage.rollups import ROLLUPS, TOTAL, Rollup
from tests.simulation.postgres.statements import BY_NAME, Rows, Statement, statement
from tests.simulation.postgres.store import Row, Transaction

NAMES = re.compile(r"AS n \(([^)]*+)\)")
LIVE = ("opens", "unique_opens", "machine_opens", "clicks", "unique_clicks", "machine_clicks")


def _add(rollup: Rollup) -> Statement:
    """Add to the counters of all tiers: columns in buckets of the finest, then the oldest bucket that each keeps."""

    def add(tx: Transaction, text: str, *given: Any) -> None:
        columns, oldest = given[: -len(rollup.tiers)], given[-len(rollup.tiers) :]
        named = NAMES.search(text)
        assert named is not None, text
        names = [name.strip() for name in named.group(1).split(",")]
        keys = 3 if rollup.key is None else 4
        for tier, first in zip(rollup.tiers, oldest, strict=True):
            assert f"INSERT INTO {tier.table} AS known" in text
            width, sums = tier.seconds * 1_000_000, dict[tuple[Any, ...], dict[str, Any]]()
            for values in zip(*columns, strict=True):
                bucket = values[1] - values[1] % width
                if bucket >= first and (tier.has_total or values[2] != TOTAL):
                    added = sums.setdefault((values[0], bucket, *values[2:keys]), dict.fromkeys(names[keys:], 0))
                    for name, n in zip(names[keys:], values[keys:], strict=True):
                        added[name] += n
            for place, more in sorted(sums.items(), key=lambda one: one[0]):
                row = dict(zip(names, place, strict=False)) | more
                tx.upsert(tier.table, place, row, partial(_sum, more=more))

    return add


def _sum(known: Row, more: Row) -> Row:
    return known | {name: known.get(name, 0) + n for name, n in more.items()}


for _rollup in ROLLUPS:
    BY_NAME[f"add_{_rollup.name}"] = _add(_rollup)


@statement
def leaving(tx: Transaction, _: str, tables: Any) -> Rows:
    return []


@statement
def raise_live(tx: Transaction, _: str, workspaces: Any, shard: int, *columns: Any) -> Rows:
    found = []
    for workspace, *more in sorted(zip(workspaces, *columns, strict=True)):
        row = {"workspace": workspace, "shard": shard, **dict(zip(LIVE, more, strict=True))}

        def merged(known: dict[str, Any], row: dict[str, Any] = row) -> dict[str, Any]:
            return known | {name: known[name] + row[name] for name in LIVE}

        tx.upsert("live_total", (workspace, shard), row, merged)
        found.append(tx.changed["live_total"][workspace, shard] or {})
    return found


@statement
def live(tx: Transaction, _: str, shard: int) -> Rows:
    return [row for (_workspace, of), row in tx.rows("live_total") if of == shard]
