"""The one engine under every document: a typed query in, zero-filled ascending rows out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from postmeter.query.engine import buckets, statement
from postmeter.query.engine.query import MAX_ROWS, MAX_TEXT, First, Query, Row
from postmeter.shared.errors import ResultTooLarge
from postmeter.shared.storage.postgres import Pool


class Engine:
    """Reads the rollups. Knows nothing of documents, parameters or envelopes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rows(self, query: Query, first: First | None = None) -> list[Row]:
        """Every group in every bucket, by bucket, then by the dimensions' values.

        first: only those groups of a total with dimensions. Without dimensions there is one row per bucket, also where
        nothing happened. Raises ResultTooLarge for answers over MAX_ROWS or MAX_TEXT; asyncpg's QueryCanceledError
        passes when the statement takes too long.
        """
        starts = buckets.starts(query.start, query.end, query.zone, query.resolution)
        if not starts:
            return []
        sql, parameters = statement.write(query, starts, first)
        found = await self._pool.fetch(sql, *parameters)
        width = 1 + len(query.dimensions)
        if first is not None and found:
            _check_size(query, found[0]["groups"], found[0]["text"])
        cells: dict[tuple[int, tuple[str, ...]], tuple[Any, ...]] = {}
        for record in found:
            values = record[: width + len(query.metrics)]
            cells[values[0] - 1, values[1:width]] = values[width:]
        return _fill(query, starts, cells)


def _fill(
    query: Query,
    starts: list[datetime],
    cells: dict[tuple[int, tuple[str, ...]], tuple[Any, ...]],
) -> list[Row]:
    groups = sorted({keys for _, keys in cells}) if query.dimensions else [()]
    _check_size(query, len(groups), sum(len(name.encode()) for keys in groups for name in keys), len(starts))
    zero = (0,) * len(query.metrics)
    local = [start.astimezone(query.zone) for start in starts]
    return [
        Row(local[number], keys, cells.get((number, keys), zero)) for number in range(len(starts)) for keys in groups
    ]


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
