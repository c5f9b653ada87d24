"""A typed query, written as SQL. Values are parameters; names come from the declared rollups only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from postmeter.query.engine import pieces
from postmeter.query.engine.query import MAX_ROWS, Query
from postmeter.query.engine.vocabulary import METRICS
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.query.engine", "engine.sql")


@dataclass
class _Parameters:
    values: list[object] = field(default_factory=list)

    def add(self, value: object) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def write(query: Query, buckets: list[datetime]) -> tuple[str, list[object]]:
    """(SQL, parameters): its rows are the bucket's number from 1, the dimensions, the metrics."""
    parameters = _Parameters([query.scope.workspace, buckets])
    counters = sorted({counter for metric in query.metrics for counter in METRICS[metric]})
    parts = [
        _QUERIES["piece"].format(
            table=piece.table,
            counters=", ".join(counters),
            start=parameters.add(piece.start),
            end=parameters.add(piece.end),
        )
        for piece in pieces.split(query.start, query.end, buckets)
    ]
    conditions = _conditions(query, parameters)
    sql = _QUERIES["rollup"].format(
        keys="".join(f", series.{name}" for name in query.dimensions),
        sums=", ".join(_sum(metric) for metric in query.metrics),
        pieces="\nUNION ALL\n".join(parts),
        series=f" {_QUERIES['series']}" if conditions or query.dimensions else "",
        conditions="".join(conditions),
        limit=MAX_ROWS + 1,
    )
    return sql, parameters.values


def _sum(metric: str) -> str:
    return f"sum({' + '.join(f'activity.{counter}' for counter in METRICS[metric])}) AS {metric}"


def _conditions(query: Query, parameters: _Parameters) -> list[str]:
    wanted = [*query.filters.items()]
    if query.scope.domains is not None:
        wanted.append(("domain", query.scope.domains))
    condition = " " + _QUERIES["condition"]
    return [condition.format(column=column, values=parameters.add(list(values))) for column, values in wanted]
