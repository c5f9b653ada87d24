"""Where to look for messages: the stretches of time in which any that are wanted were created, the latest first.

Messages of some series or states are counted by the time of their creation (rollups.CREATED), so days without any are
not read, nor, of the latest days with some, hours without: a campaign of last year is found without reading this
year's mail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import CREATED, TOTAL, added
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import State

_QUERIES = Queries("postmeter.query.documents.native", "message_search.sql")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MAX_STRETCHES = 8
"""If messages lie apart more often than that, the last stretch takes all the rest."""
CLOSELY = 8
"""The latest days with some messages of which the hours are looked up: about as many as there may be stretches."""
MAX_SERIES = 1_000
MAX_COUNTS = 250_000
"""Of more series, or where they have more counts, days are not looked up, nor hours: they are likely to be in most of
them, and to read a million counts takes as long as some pages.
"""


@dataclass(frozen=True)
class Place:
    """A message's place in the order: by its creation, the latest first, then by its id."""

    at: datetime
    id: UUID


@dataclass(frozen=True)
class Selection:
    """Messages of one workspace, of `series` and in `states` (None: any), created in [start, end), behind `after`."""

    workspace: int
    series: list[int] | None
    states: tuple[State, ...] | None
    start: datetime
    end: datetime
    after: Place | None = None


@dataclass(frozen=True)
class Stretch:
    """`between`: created in [low, high). `beside`: created at `low`, with an id behind `high`."""

    kind: str
    low: datetime
    high: datetime | UUID


async def of(connection: Connection, wanted: Selection) -> list[Stretch]:
    """The stretches, disjoint, the latest first; together they hold every message that is wanted."""
    if wanted.series == [] or wanted.start >= wanted.end:
        return []
    if wanted.after is None:
        return await _before(connection, wanted, wanted.end)
    # Many may have been created in one moment: those behind it are a range of their own in the index.
    beside = Stretch("beside", wanted.after.at, wanted.after.id)
    return [beside, *await _before(connection, wanted, wanted.after.at)]


async def _before(connection: Connection, wanted: Selection, end: datetime) -> list[Stretch]:
    start = wanted.start
    if start >= end:
        return []
    if (wanted.series is None and wanted.states is None) or len(wanted.series or ()) > MAX_SERIES:
        return [Stretch("between", start, end)]
    counters = CREATED.counters if wanted.states is None else [state.name.lower() for state in wanted.states]
    count = added(counters)
    series = [TOTAL] if wanted.series is None else wanted.series
    first = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    row = await connection.fetchrow(
        _QUERIES["days"].format(count=count), wanted.workspace, first, end, series, MAX_COUNTS
    )
    assert row is not None
    if row["read"] == MAX_COUNTS:
        return [Stretch("between", start, end)]
    close, rest = row["days"][:CLOSELY], row["days"][CLOSELY:]
    hours = await connection.fetch(
        _QUERIES["hours"].format(count=count), wanted.workspace, close, series, MAX_COUNTS // CLOSELY
    )
    found = [*_closely(dict(zip(close, row["counts"], strict=False)), hours), *((day, day + DAY) for day in rest)]
    if row["kept"] is None or row["kept"] > start:  # days are not counted that far back
        found.append((start, end if row["kept"] is None else row["kept"]))
    inside = ((max(low, start), min(high, end)) for low, high in found if low < end and high > start)
    return [Stretch("between", low, high) for low, high in _joined(inside)]


def _closely(days: dict[datetime, int], hours: Iterable[asyncpg.Record]) -> Iterator[tuple[datetime, datetime]]:
    """The hours of these days; a day whose hours are not all counted, or hold too much, stays as it is."""
    found: dict[datetime, list[asyncpg.Record]] = {day: [] for day in days}
    for hour in hours:
        found[hour["day"]].append(hour)
    for day, its in found.items():
        if sum(hour["n"] for hour in its) == days[day]:
            yield from ((hour["hour"], hour["hour"] + HOUR) for hour in its)
        else:
            yield day, day + DAY


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Spans, the latest first, that touch made one; and at most MAX_STRETCHES."""
    found: list[tuple[datetime, datetime]] = []
    for low, high in spans:
        if found and (high >= found[-1][0] or len(found) == MAX_STRETCHES):
            found[-1] = (low, found[-1][1])
        else:
            found.append((low, high))
    return found
