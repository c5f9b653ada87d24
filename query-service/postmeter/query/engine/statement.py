"""A typed query, written as SQL. Values are parameters; names come from declared data only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from postmeter.query.engine import pieces
from postmeter.query.engine.query import MAX_ROWS, MAX_TEXT, First, Query, Resolution
from postmeter.query.engine.vocabulary import DIMENSIONS, LINK, OF_ROLLUP, REVENUE, metrics_of
from postmeter.shared.storage.rollups import LINKS, added
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.query.engine", "engine.sql")
_COARSE = (Resolution.TOTAL, Resolution.WEEK, Resolution.MONTH)
"""Several rows of a series lie in one bucket."""


@dataclass
class _Parameters:
    values: list[object] = field(default_factory=list)

    def add(self, value: object) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def write(query: Query, buckets: list[datetime], first: First | None = None) -> tuple[str, list[object]]:
    """(SQL, parameters): its rows are the bucket's number from 1, the dimensions, the metrics.

    With `first` only so many, in its order; each ends with the number of all rows and the bytes of their dimensions.
    """
    parameters = _Parameters([query.scope.workspace])
    meanings = metrics_of(query.rollup)
    counters = sorted({counter for metric in query.metrics for counter in meanings[metric]})
    sql = _QUERIES["rollup"].format(
        keys="".join(f", {DIMENSIONS[name].key} AS {name}" for name in query.dimensions),
        sums=", ".join(
            f"{_sum(' + '.join(f'counted.{counter}' for counter in meanings[metric]), metric)} AS {metric}"
            for metric in query.metrics
        ),
        pieces=_counted(query, buckets, counters, parameters),
        joins=_joins(query),
        conditions=_after_joins(query, parameters),
        groups=_places(1 + len(query.dimensions)),
        limit=MAX_ROWS + 1,
    )
    if query.dimensions:
        sql = _some_text(sql, query)
    return (sql if first is None else _first(sql, query, first)), parameters.values


def _sum(counters: str, name: str) -> str:
    # Counts fit, also summed up (records.SIZE_LIMIT); a numeric would take ten times as long to read.
    return f"sum({counters})" + ("" if name == REVENUE else "::bigint")


def _places(count: int) -> str:
    # An expression in the list of groups would be another one than in the list of columns: groups go by place.
    return ", ".join(str(place) for place in range(1, 1 + count))


def _text(query: Query) -> str:
    return " + ".join(f"octet_length({name})" for name in query.dimensions)


def _some_text(rollup: str, query: Query) -> str:
    columns = ", ".join(("bucket", *query.dimensions, *query.metrics))
    return _QUERIES["some_text"].format(rollup=rollup, columns=columns, text=_text(query), limit=MAX_TEXT)


def _first(rows: str, query: Query, first: First) -> str:
    terms = ((name, ' COLLATE "C"' * (name in query.dimensions), " DESC" * down) for name, down in first.order)
    order = ", ".join(name + collation + direction for name, collation, direction in terms)
    columns = ", ".join(("bucket", *query.dimensions, *query.metrics))
    return _QUERIES["first"].format(rows=rows, columns=columns, text=_text(query), order=order, limit=first.limit)


def _counted(query: Query, buckets: list[datetime], counters: list[str], parameters: _Parameters) -> str:
    """What is counted; summed up by bucket already where many rows of a tier lie in one."""
    own = [name for name, rollup in OF_ROLLUP.items() if rollup is query.rollup]
    found = "\nUNION ALL\n".join(_pieces(query, buckets, own, counters, parameters))
    of_series = any(name not in OF_ROLLUP for name in query.dimensions)
    if not query.dimensions or (of_series and query.resolution not in _COARSE):
        return f"({found})"
    keys = ["bucket", *(["series"] if of_series else []), *own]
    return _QUERIES["summed"].format(
        columns=", ".join(keys),
        sums=", ".join(f"{_sum(counter, counter)} AS {counter}" for counter in counters),
        pieces=found,
        groups=_places(len(keys)),
    )


def _pieces(
    query: Query, buckets: list[datetime], own: list[str], counters: list[str], parameters: _Parameters
) -> Iterator[str]:
    """Statements of the rows that are counted, each with the number of its bucket."""
    series, tiers, inside = _series(query, parameters), query.rollup.tiers, buckets[1:]
    days = pieces.whole_days(tiers, query.start, query.end, inside)
    number = "1"
    if inside:
        number = f"1 + width_bucket(bucket, {parameters.add(days.anchors if days else inside)}::timestamptz[])"
    counts = [f"{added([counter])} AS {counter}" for counter in counters]
    for piece in pieces.split(tiers, query.start, query.end, [] if days else inside):
        yield _QUERIES["piece"].format(
            table=piece.table,
            columns=", ".join((f"{number} AS bucket", "series", *own, *counts)),
            start=parameters.add(piece.start),
            end=parameters.add(piece.end),
            series=series,
        )
    if days:
        starts, ends, numbers, signs = zip(*days.moved, strict=True)
        yield _QUERIES["moved"].format(
            table=days.table,
            columns=", ".join(("series", *own, *(f"moved.sign * {added([one])} AS {one}" for one in counters))),
            starts=parameters.add(starts),
            ends=parameters.add(ends),
            numbers=parameters.add(numbers),
            signs=parameters.add(signs),
            low=parameters.add(starts[0]),
            high=parameters.add(ends[-1]),
            series=series,
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
