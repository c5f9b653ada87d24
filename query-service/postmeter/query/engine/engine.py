"""The one engine under every document: a typed query in, zero-filled ascending rows out."""

from __future__ import annotations

from datetime import datetime

from postmeter.query.engine import buckets, statement
from postmeter.query.engine.query import MAX_ROWS, Query, Row
from postmeter.shared.postgres import Pool


class Engine:
    """Reads the rollups. Knows nothing of documents, parameters or envelopes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rows(self, query: Query) -> list[Row]:
        """Every group in every bucket, by bucket, then by the dimensions' values.

        Without dimensions there is one row per bucket, also where nothing happened. Raises RequestError 400
        for answers over MAX_ROWS; asyncpg's QueryCanceledError passes when the statement takes too long.
        """
        starts = buckets.starts(query.start, query.end, query.zone, query.resolution)
        if not starts:
            return []
        sql, parameters = statement.write(query, starts)
        found = await self._pool.fetch(sql, *parameters)
        width = 1 + len(query.dimensions)
        cells: dict[tuple[int, tuple[str, ...]], tuple[int, ...]] = {}
        for record in found:
            values = tuple(record)
            cells[values[0] - 1, values[1:width]] = tuple(int(value) for value in values[width:])
        return _fill(query, starts, cells)


def _fill(
    query: Query,
    starts: list[datetime],
    cells: dict[tuple[int, tuple[str, ...]], tuple[int, ...]],
) -> list[Row]:
    groups = sorted({keys for _, keys in cells}) if query.dimensions else [()]
    if len(groups) * len(starts) > MAX_ROWS:
        raise buckets.too_large()
    zero = (0,) * len(query.metrics)
    local = [start.astimezone(query.zone) for start in starts]
    return [
        Row(local[number], keys, cells.get((number, keys), zero)) for number in range(len(starts)) for keys in groups
    ]
