"""The one engine under every document: a typed query in, zero-filled ascending rows out."""

from __future__ import annotations

from datetime import datetime

from postmeter.query.engine import buckets, statement
from postmeter.query.engine.kept_days import Cells, KeptDays, cells_of, text_of
from postmeter.query.engine.query import MAX_ROWS, MAX_TEXT, First, Query, Row
from postmeter.shared.errors import ResultTooLarge
from postmeter.shared.storage.postgres import Pool


class Engine:
    """Reads the rollups. Knows nothing of documents, parameters or envelopes.

    kept: what days count that do not change any more; None: they are read each time.
    """

    def __init__(self, pool: Pool, kept: KeptDays | None = None) -> None:
        self._pool = pool
        self._kept = kept

    async def rows(self, query: Query, first: First | None = None) -> list[Row]:
        """Every group in every bucket, by bucket, then by the dimensions' values.

        first: these groups of a total with dimensions are enough. Without dimensions there is one row per bucket, also
        where nothing happened. Raises ResultTooLarge for answers over MAX_ROWS or MAX_TEXT; asyncpg's
        QueryCanceledError passes when the statement takes too long.
        """
        return _fill(query, *await self.cells(query, first))

    async def cells(self, query: Query, first: First | None = None) -> tuple[list[datetime], Cells]:
        """(where the buckets begin, what was counted in those in which anything was); without dimensions all of it."""
        starts = buckets.starts(query.start, query.end, query.zone, query.resolution)
        if not starts:
            return [], {}
        cells = await self._of_kept_days(query, starts)
        if cells is not None:
            return starts, cells if first is None else _leading(query, cells, first)
        sql, parameters = statement.write(query, starts, first)
        found = await self._pool.fetch(sql, *parameters)
        if first is not None and found:
            _check_size(query, found[0]["groups"], found[0]["text"])
        return starts, cells_of(query, found)

    async def groups(self, query: Query) -> tuple[str, list[object]] | None:
        """A statement of the query's rows, however many, to be part of another, and its parameters, which come first
        there; None for an empty range. Its columns are `bucket`, from 1 on, the dimensions, the metrics.
        """
        starts = buckets.starts(query.start, query.end, query.zone, query.resolution)
        if not starts:
            return None
        cells = await self._of_kept_days(query, starts)
        if cells is None or len(cells) > MAX_ROWS or text_of(cells) > MAX_TEXT:  # of more, some may be missing
            return statement.groups(query, starts)
        return statement.given(query, cells)

    async def _of_kept_days(self, query: Query, starts: list[datetime]) -> Cells | None:
        return None if self._kept is None else await self._kept.cells(query, starts)


def _fill(
    query: Query,
    starts: list[datetime],
    cells: Cells,
) -> list[Row]:
    groups = sorted({keys for _, keys in cells}) if query.dimensions else [()]
    _check_size(query, len(groups), sum(len(name.encode()) for keys in groups for name in keys), len(starts))
    zero = (0,) * len(query.metrics)
    local = [start.astimezone(query.zone) for start in starts]
    return [
        Row(local[number], keys, cells.get((number, keys), zero)) for number in range(len(starts)) for keys in groups
    ]


def _leading(query: Query, cells: Cells, first: First) -> Cells:
    """Those of a total's cells that have the values of the first ones in what these are first of all ordered by."""
    _check_size(query, len(cells), text_of(cells))
    (name, down), *_ = first.order
    if name not in query.metrics or len(cells) <= first.limit:
        return cells
    place = query.metrics.index(name)
    last = sorted((values[place] for values in cells.values()), reverse=down)[first.limit - 1]
    return {key: values for key, values in cells.items() if (values[place] >= last if down else values[place] <= last)}


def _check_size(query: Query, groups: int, text: int, buckets: int = 1) -> None:
    if groups * buckets > MAX_ROWS:
        raise _too_large(query, f"more than {MAX_ROWS} rows", groups, buckets)
    if text * buckets > MAX_TEXT:
        raise _too_large(query, f"more than {MAX_TEXT >> 20} MB of names", groups, buckets)


def _too_large(query: Query, what: str, groups: int, buckets: int) -> ResultTooLarge:
    """What to narrow. The groups may be more: no more cells than the limits were read."""
    names = " and ".join(query.dimensions)
    advice = [f"filter by {names}" if len(query.dimensions) == 1 else f"filter by {names}, or ask for fewer dimensions"]
    if buckets > 1:
        advice.append("ask for a coarser resolution, or narrow the range")
    return ResultTooLarge(
        f"The answer would have {what}: at least {groups} groups by {names} in {buckets}"
        f" bucket{'s' * (buckets > 1)}. To narrow it, {', '.join(advice)}.",
        "dimensions",
    )
