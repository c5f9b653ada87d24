"""A typed query, written as SQL. Values are parameters; names come from declared data only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from postmeter.query.engine import conditions, pieces, sums
from postmeter.query.engine.conditions import Parameters
from postmeter.query.engine.pieces import RestOfDay
from postmeter.query.engine.query import MAX_ROWS, MAX_TEXT, First, Query, Resolution
from postmeter.query.engine.sums import Sums
from postmeter.query.engine.vocabulary import DIMENSIONS, LINK, OF_ROLLUP, REVENUE, metrics_of
from postmeter.shared.storage.rollups import TOTAL, added
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.query.engine", "engine.sql")
_SUMS = Queries("postmeter.query.engine", "sums.sql")
_DAYS = Queries("postmeter.query.engine", "kept_days.sql")
_COARSE = (Resolution.TOTAL, Resolution.WEEK, Resolution.MONTH)
"""Several rows of a series lie in one bucket."""


def write(query: Query, buckets: list[datetime], first: First | None = None) -> tuple[str, list[object]]:
    """(SQL, parameters): its rows are the bucket's number from 1, the dimensions, the metrics.

    With `first` only that many, in its order; each ends with the number of all rows and the bytes of their dimensions.
    """
    sql, parameters = groups(query, buckets, MAX_ROWS + 1)
    if query.dimensions:
        sql = _some_text(sql, query)
    return (sql if first is None else _first(sql, query, first)), parameters


def write_with_days(query: Query, buckets: list[datetime], low: datetime, high: datetime) -> tuple[str, list[object]]:
    """The same rows, and one without a bucket's number that says what the days [low, high) are like as they are read.

    Each row begins with that, or with null.
    """
    sql, values = write(query, buckets)
    parameters = Parameters(values)
    days = _DAYS["days"].format(low=parameters.add(low), high=parameters.add(high))
    nulls = ", ".join(["NULL"] * (1 + len(query.dimensions) + len(query.metrics)))
    return _DAYS["with_days"].format(days=days, nulls=nulls, rows=sql), parameters.values


def given(query: Query, cells: Mapping[tuple[int, tuple[str, ...]], tuple[object, ...]]) -> tuple[str, list[object]]:
    """The same of rows that have been read: by the bucket's number, from 0 on, and the dimensions' values."""
    columns: list[object] = [[1 + number for number, _ in cells]]
    columns += [[keys[place] for _, keys in cells] for place in range(len(query.dimensions))]
    columns += [[values[place] for values in cells.values()] for place in range(len(query.metrics))]
    types = ["int", *("text" for _ in query.dimensions), *("bigint" for _ in query.metrics)]
    return _QUERIES["given"].format(
        arrays=", ".join(f"${place}::{kind}[]" for place, kind in enumerate(types, 1)),
        columns=", ".join(("bucket", *query.dimensions, *query.metrics)),
    ), columns


def groups(query: Query, buckets: list[datetime], limit: int | None = None) -> tuple[str, list[object]]:
    """The same, `limit` rows at most, to be part of another statement; its parameters follow these."""
    parameters = Parameters([query.scope.workspace])
    meanings = metrics_of(query.rollup)
    counters = sorted({counter for metric in query.metrics for counter in meanings[metric]})
    dimension = sums.dimension_of(query)
    if dimension is not None:
        keys = [f", counted.value AS {name}" for name in query.dimensions]
        found, joins, conditions = _counted_by(dimension, query, buckets, counters, parameters), "", ""
    else:
        keys = [f", {DIMENSIONS[name].key} AS {name}" for name in query.dimensions]
        found, joins = _counted(query, buckets, counters, parameters), _joins(query)
        conditions = _after_joins(query, parameters)
    sql = _QUERIES["rollup"].format(
        keys="".join(keys),
        sums=", ".join(
            f"{_sum(' + '.join(f'counted.{counter}' for counter in meanings[metric]), metric)} AS {metric}"
            for metric in query.metrics
        ),
        pieces=found,
        joins=joins,
        conditions=conditions,
        groups=_places(1 + len(query.dimensions)),
        limit="ALL" if limit is None else limit,
    )
    return sql, parameters.values


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


def _counted(query: Query, buckets: list[datetime], counters: list[str], parameters: Parameters) -> str:
    """What is counted; summed up by bucket already where many rows of a tier lie in one."""
    own = [name for name, rollup in OF_ROLLUP.items() if rollup is query.rollup]
    read = Sums.by_link(counters) if sums.of_links(query) else None
    series = list(_pieces(query, buckets, own, counters, parameters, read))
    found = "\nUNION ALL\n".join([*(read.rows if read else []), *series])
    of_series = any(name not in OF_ROLLUP for name in query.dimensions)
    if not query.dimensions or (of_series and query.resolution not in _COARSE):
        return f"({found})"
    return _summed(found, ["bucket", *(["series"] if of_series else []), *own], counters)


def _summed(rows: str, keys: list[str], counters: list[str]) -> str:
    return _QUERIES["summed"].format(
        columns=", ".join(keys),
        sums=", ".join(f"{_sum(counter, counter)} AS {counter}" for counter in counters),
        pieces=rows,
        groups=_places(len(keys)),
    )


def _counted_by(
    dimension: str, query: Query, buckets: list[datetime], counters: list[str], parameters: Parameters
) -> str:
    """The same of one dimension, under its values: its sums, and the series of what has none."""
    read = Sums.by(dimension, query, counters, parameters)
    found = "(" + "\nUNION ALL\n".join(_pieces(query, buckets, [], counters, parameters, read)) + ")"
    if query.dimensions and query.resolution in _COARSE:
        found = _summed(found, ["bucket", "series"], counters)
    rest = _SUMS["named"].format(
        value=f", {DIMENSIONS[dimension].key} AS value" if query.dimensions else "",
        counters=", ".join(counters),
        rows=found,
        joins=_joins(query),
        conditions=_after_joins(query, parameters),
    )
    return "(" + "\nUNION ALL\n".join([*read.rows, rest]) + ")"


def _pieces(
    query: Query,
    buckets: list[datetime],
    own: list[str],
    counters: list[str],
    parameters: Parameters,
    read: Sums | None,
) -> Iterator[str]:
    """Statements of the rows of series that are counted, each with the number of its bucket; what `read` reads is left
    out."""
    chosen, tiers, inside = conditions.series(query, parameters), query.rollup.tiers, buckets[1:]
    days = pieces.whole_days(tiers, query.start, query.end, inside)
    number = "1"
    if inside:
        number = f"1 + width_bucket(bucket, {parameters.add(days.anchors if days else inside)}::timestamptz[])"
    edges = [] if days else inside
    counts = [f"{added([counter])} AS {counter}" for counter in counters]
    # The workspace's sum has one row for each hour.
    of_total = chosen[tiers[-1].table] == _QUERIES["total"]
    rest = None if of_total else pieces.last_day(tiers, query.start, query.end, edges, query.now)
    if rest is not None:
        yield _rest(query, rest, number, chosen, own, counters, parameters)
    for piece in pieces.split(tiers, query.start, rest.start if rest else query.end, edges):
        start, end = parameters.add(piece.start), parameters.add(piece.end)
        has_sums = read is not None and read.piece(piece.table, number, start, end)
        yield (_SUMS["changed_piece"] if has_sums else _QUERIES["piece"]).format(
            table=piece.table,
            columns=", ".join((f"{number} AS bucket", "series", *own, *counts)),
            start=start,
            end=end,
            series=chosen[piece.table],
        )
    if days:
        starts, ends, numbers, signs = zip(*days.moved, strict=True)
        places = {
            "starts": parameters.add(starts),
            "ends": parameters.add(ends),
            "numbers": parameters.add(numbers),
            "signs": parameters.add(signs),
            "low": parameters.add(starts[0]),
            "high": parameters.add(ends[-1]),
        }
        yield _QUERIES["moved"].format(
            table=days.table,
            columns=", ".join(("series", *own, *(f"moved.sign * {added([one])} AS {one}" for one in counters))),
            days=read.moved(days.table, places) if read is not None else "",
            series=chosen[days.table],
            **places,
        )


def _rest(
    query: Query,
    rest: RestOfDay,
    number: str,
    chosen: dict[str, str],
    own: list[str],
    counters: list[str],
    parameters: Parameters,
) -> str:
    """The last day without what comes behind the range; by series only where somebody asks for what series have."""
    series = "series" if set(query.dimensions) - OF_ROLLUP.keys() else f"{TOTAL}::bigint AS series"
    names = {
        "keys": ", ".join(("series", *own)),
        "read": ", ".join((series, *own)),
        "everything": added(query.rollup.counters),
    }
    start = parameters.add(rest.start)
    without = (
        _QUERIES["without"].format(
            start=start,
            table=piece.table,
            low=parameters.add(piece.start),
            high=parameters.add(piece.end),
            negative=", ".join(f"- {added([counter])}" for counter in counters),
            series=chosen[piece.table],
            **names,
        )
        for piece in rest.without
    )
    return _QUERIES["rest"].format(
        number=number,
        sums=", ".join(f"{_sum(counter, counter)} AS {counter}" for counter in counters),
        counters=", ".join(f"{added([counter])} AS {counter}" for counter in counters),
        table=rest.table,
        start=start,
        series=chosen[rest.table],
        without="\nUNION ALL\n".join(without),
        **names,
    )


def _joins(query: Query) -> str:
    joins = [_QUERIES["series"]] if any(name not in OF_ROLLUP for name in query.dimensions) else []
    needed = [*query.dimensions, *(name for name in query.filters if name == LINK and name not in query.dimensions)]
    joins += [DIMENSIONS[name].join for name in needed if DIMENSIONS[name].join]
    return "".join(f" {join}" for join in joins)


def _after_joins(query: Query, parameters: Parameters) -> str:
    """Conditions on what is not a series' own: the link, the currency, and the tag where tags are grouped by."""
    own = "".join(
        conditions.chosen(name, values, parameters) for name, values in query.filters.items() if name in OF_ROLLUP
    )
    if "tag" in query.dimensions and "tag" in query.filters:
        own += f" AND tagged.tag = ANY ({parameters.add(list(query.filters['tag']))}::text[])"
    return own
