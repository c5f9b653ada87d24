"""Rollups and live totals."""

from __future__ import annotations

import re
from typing import Any

from postmeter.shared.storage.rollups import ROLLUPS
from tests.simulation.postgres.statements import BY_NAME, Rows, Statement, statement
from tests.simulation.postgres.store import Transaction

COLUMNS = re.compile(r"INSERT INTO (\w++) AS known \(([^)]*+)\)")
LIVE = ("opens", "unique_opens", "machine_opens", "clicks", "unique_clicks", "machine_clicks")


def _add(keys: int) -> Statement:
    """Add to the counters of rows: the first columns are the key, the others are added."""

    def add(tx: Transaction, text: str, *columns: Any) -> None:
        found = COLUMNS.search(text)
        assert found is not None, text
        table, names = found.group(1), [name.strip() for name in found.group(2).split(",")]
        for values in sorted(zip(*columns, strict=True), key=lambda one: one[:keys]):
            more = dict(zip(names[keys:], values[keys:], strict=True))

            def merged(known: dict[str, Any], more: dict[str, int] = more) -> dict[str, Any]:
                return known | {name: known.get(name, 0) + n for name, n in more.items()}

            tx.upsert(table, values[:keys], dict(zip(names, values, strict=True)), merged)

    return add


for _rollup in ROLLUPS:
    for _tier in _rollup.tiers:
        BY_NAME[f"add_{_tier.table}"] = _add(3 if _rollup.key is None else 4)


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
