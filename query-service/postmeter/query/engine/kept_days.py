"""Keeps what unchanged days count: for a question that is asked again only the days since are read (ADR 0067).

A commit every tenth of a second makes all answers of a workspace old, but most of what they are made of are days that
no commit touches. So a range is parted at the first day that is not settled (summed up, and unchanged since). What the
days before it count is kept, beside what these days were like when it was read. It is used only where the statement
that reads the rest finds them like that in its own snapshot: then both together are what one statement over the whole
range would have read there.
"""

from __future__ import annotations

import bisect
import hashlib
import time
from collections.abc import Hashable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

import asyncpg

from postmeter.query.bounded_store import Store
from postmeter.query.engine import statement
from postmeter.query.engine.query import MAX_ROWS, MAX_TEXT, Query
from postmeter.query.metrics import KeptDaysMetrics
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.rollups import ACTIVITY, LINKS
from postmeter.shared.storage.sql import Queries

Cells: TypeAlias = dict[tuple[int, tuple[str, ...]], tuple[Any, ...]]
"""Metrics by the bucket's number, from 0 on, and the dimensions' values."""

_FIRST_UNSETTLED = Queries("postmeter.query.engine", "kept_days.sql")["first_unsettled"]
FEWEST = timedelta(hours=6)
"""If less of a range than this is settled, it is read as a whole."""
MOST_CELLS = 8_000
"""What has more is not kept: every answer adds to a copy of it."""
LARGEST = 4
"""What needs more than this part of the memory is not kept."""
CELL_BYTES, METRIC_BYTES = 300, 40
"""About how much memory one takes, beside the names."""
SECONDS = 3600.0
"""After this long a part is read again: more days may be settled."""
RETRY_SECONDS = 60.0
"""After this long a range is checked again for settled days."""


class _Kept(NamedTuple):
    """What the days before `until` count, as long as they are like `days`; cells None: nothing is kept. expires: as
    time.monotonic() tells it.
    """

    expires: float
    until: datetime
    days: str = ""
    cells: Cells | None = None


class KeptDays:
    """The kept parts of one process. most: bytes of all of them; 0: none."""

    def __init__(self, pool: Pool, most: int, metrics: KeptDaysMetrics) -> None:
        self._pool = pool
        self._most = most
        self._store = Store[_Kept](most, LARGEST)
        self._metrics = metrics
        metrics.kept.set_function(lambda: sum(kept.cells is not None for kept in self._store))
        metrics.bytes.set_function(lambda: self._store.bytes)

    async def cells(self, query: Query, starts: list[datetime]) -> Cells | None:
        """What the engine counts for this query in the buckets that begin at `starts`; None where nothing kept helps.

        Groups beyond the engine's limits may be missing, but never so many that it is within them.
        """
        if not self._most or not _is_dear(query):
            return None
        workspace, key = query.scope.workspace, _key(query)
        kept, result = self._store.get(workspace, 0, key), "hit"
        if kept is None or kept.expires <= time.monotonic():
            result = "miss" if kept is None or kept.cells is None else "expired"
            kept = await self._read(query, starts)
            self._put(workspace, key, kept)
        if kept.cells is None:
            self._metrics.questions.labels("unkept").inc()
            return None
        first = bisect.bisect_right(starts, kept.until) - 1
        days, since = await self._since(query, starts[first:], kept.until)
        if days != kept.days:
            # The next query finds out which days there still are.
            self._put(workspace, key, _Kept(0.0, query.start))
            self._metrics.questions.labels("changed").inc()
            return None
        self._metrics.questions.labels(result).inc()
        return _sum(kept.cells, since, first)

    def _put(self, workspace: int, key: Hashable, kept: _Kept) -> None:
        size = _size(kept.cells or {})
        if kept.cells is not None and (len(kept.cells) > MOST_CELLS or not self._store.fits(size)):
            kept, size = _nothing(kept.until), 0
        self._metrics.evicted.inc(self._store.put(workspace, 0, key, kept, size))

    async def _read(self, query: Query, starts: list[datetime]) -> _Kept:
        """Read what is to be kept."""
        nothing = _nothing(query.start)
        begin = _midnight(query.start)
        unsettled = await self._pool.fetchval(_FIRST_UNSETTLED, query.scope.workspace, begin)
        until = min(unsettled or datetime.max.replace(tzinfo=UTC), _last_midnight(query))
        if until - query.start < FEWEST:
            return nothing
        before = starts[: bisect.bisect_left(starts, until)]
        days, cells = await self._fetch(replace(query, end=until), before, begin, until)
        if days is None or len(cells) > MAX_ROWS or text_of(cells) > MAX_TEXT:
            return nothing
        return _Kept(time.monotonic() + SECONDS, until, days, cells)

    async def _since(self, query: Query, starts: list[datetime], until: datetime) -> tuple[str | None, Cells]:
        """What the days from `until` on count, and what those before it are like."""
        return await self._fetch(replace(query, start=until), starts, _midnight(query.start), until)

    async def _fetch(
        self, query: Query, starts: list[datetime], begin: datetime, until: datetime
    ) -> tuple[str | None, Cells]:
        sql, parameters = statement.write_with_days(query, starts, begin, until)
        found = await self._pool.fetch(sql, *parameters)
        (told,) = (record for record in found if record[1] is None)
        return told[0], cells_of(query, [record for record in found if record is not told], 1)


def _nothing(until: datetime) -> _Kept:
    return _Kept(time.monotonic() + RETRY_SECONDS, until)


def cells_of(query: Query, found: list[asyncpg.Record], skipped: int = 0) -> Cells:
    """The rows of `statement.write`, after `skipped` other columns."""
    names = skipped + 1
    metrics = names + len(query.dimensions)
    end = metrics + len(query.metrics)
    cells: Cells = {}
    for record in found:
        values = record[skipped:end]
        cells[values[0] - 1, values[1 : metrics - skipped]] = values[metrics - skipped :]
    return cells


def _sum(kept: Cells, since: Cells, first: int) -> Cells:
    """Both together; `since` numbers the buckets from `first` on."""
    cells = kept.copy()
    for (number, keys), values in since.items():
        place = number + first, keys
        known = cells.get(place)
        cells[place] = values if known is None else tuple(map(int.__add__, known, values))
    return cells


def _is_dear(query: Query) -> bool:
    """Whether it is made of days of which it is known when they change, and not of a row for each bucket anyway."""
    if query.rollup is LINKS:
        return True
    return query.rollup is ACTIVITY and bool(query.dimensions or query.filters or query.scope.domains is not None)


def _key(query: Query) -> bytes:
    """Everything that decides what is counted, except when the last day of the range ends."""
    filters, range_ = sorted(query.filters.items()), (query.start, _last_midnight(query))
    what = (query.rollup.name, query.metrics, query.dimensions, filters, query.scope.domains)
    text = repr((what, query.zone, query.resolution, range_))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def _midnight(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _last_midnight(query: Query) -> datetime:
    """The last one before the range's end: something is always left to be read."""
    return _midnight(query.end - timedelta(microseconds=1))


def text_of(cells: Cells) -> int:
    """Bytes of the names in all cells."""
    return len("".join(name for _, keys in cells for name in keys).encode())


def _size(cells: Cells) -> int:
    width = next((len(values) for values in cells.values()), 0)
    return len(cells) * (CELL_BYTES + METRIC_BYTES * width) + text_of(cells)
