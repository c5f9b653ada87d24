"""A typed query, written as SQL. Values are parameters; names come from declared data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from postmeter.query.engine import pieces
from postmeter.query.engine.query import MAX_ROWS, MAX_TEXT, Query
from postmeter.query.engine.vocabulary import DIMENSIONS, LINK, OF_ROLLUP, REVENUE, metrics_of
from postmeter.shared.rollups import LINKS
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
    meanings = metrics_of(query.rollup)
    counters = sorted({counter for metric in query.metrics for counter in meanings[metric]})
    # An expression in the list of groups would be another one than in the list of columns: groups go by place.
    groups = ", ".join(str(place) for place in range(1, 2 + len(query.dimensions)))
    sql = _QUERIES["rollup"].format(
        keys="".join(f", {DIMENSIONS[name].key} AS {name}" for name in query.dimensions),
        sums=", ".join(
            # Counts fit, also summed up (records.SIZE_LIMIT); a numeric would take ten times as long to read.
            f"sum({' + '.join(f'counted.{counter}' for counter in meanings[metric])})"
            f"{'' if metric == REVENUE else '::bigint'} AS {metric}"
            for metric in query.metrics
        ),
        pieces=_pieces(query, buckets, counters, parameters),
        joins=_joins(query),
        conditions=_after_joins(query, parameters),
        groups=groups,
        limit=MAX_ROWS + 1,
    )
    return (_some_text(sql, query) if query.dimensions else sql), parameters.values


def _some_text(rollup: str, query: Query) -> str:
    text = " + ".join(f"octet_length({name})" for name in query.dimensions)
    columns = ", ".join(("bucket", *query.dimensions, *query.metrics))
    return _QUERIES["some_text"].format(rollup=rollup, columns=columns, text=text, limit=MAX_TEXT)


def _pieces(query: Query, buckets: list[datetime], counters: list[str], parameters: _Parameters) -> str:
    own = [name for name, rollup in OF_ROLLUP.items() if rollup is query.rollup]
    columns = ["series", "bucket", *own, *counters]
    series = _series(query, parameters)
    return "\nUNION ALL\n".join(
        _QUERIES["piece"].format(
            table=piece.table,
            columns=", ".join(columns),
            start=parameters.add(piece.start),
            end=parameters.add(piece.end),
            series=series,
        )
        for piece in pieces.split(query.rollup.tiers, query.start, query.end, buckets)
    )


def _series(query: Query, parameters: _Parameters) -> str:
    """Which series are read at all."""
    wanted = [(name, values) for name, values in query.filters.items() if name not in OF_ROLLUP]
    if query.scope.domains is not None:
        wanted.append(("domain", query.scope.domains))
    if wanted:
        conditions = "".join(_condition(name, values, parameters) for name, values in wanted)
        return _QUERIES["some"].format(conditions=conditions)
    whole = all(name in OF_ROLLUP for name in query.dimensions) and query.rollup is not LINKS
    return _QUERIES["total" if whole else "every"]


def _joins(query: Query) -> str:
    joins = [_QUERIES["series"]] if any(name not in OF_ROLLUP for name in query.dimensions) else []
    needed = [*query.dimensions, *(name for name in query.filters if name == LINK and name not in query.dimensions)]
    joins += [DIMENSIONS[name].join for name in needed if DIMENSIONS[name].join]
    return "".join(f" {join}" for join in joins)


def _after_joins(query: Query, parameters: _Parameters) -> str:
    """Conditions on what is not a series' own: the link, the currency, and the tag where tags are grouped by."""
    conditions = "".join(
        _condition(name, values, parameters) for name, values in query.filters.items() if name in OF_ROLLUP
    )
    if "tag" in query.dimensions and "tag" in query.filters:
        conditions += f" AND tagged.tag = ANY ({parameters.add(list(query.filters['tag']))}::text[])"
    return conditions


def _condition(name: str, values: tuple[str, ...], parameters: _Parameters) -> str:
    return f" AND {DIMENSIONS[name].chosen.format(values=parameters.add(list(values)))}"
