"""Where to look for messages: the stretches of time in which any that are wanted were created, the latest first.

Messages of some series or states are counted by the hour of their creation (rollups.CREATED), so hours without any are
not read: a campaign of last year is found without reading this year's mail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import CREATED, TOTAL, added
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import State

_QUERIES = Queries("postmeter.query.documents.native", "message_search.sql")
HOUR = timedelta(hours=1)
MAX_STRETCHES = 8
"""What lies apart more often than that is one stretch from the last one on."""
MAX_SERIES = 1_000
MAX_COUNTS = 250_000
"""Of more series, or where they have more counts by the hour, hours are not looked up: they are likely to be in most of
them, and to read a million counts takes as long as some pages.
"""


@dataclass(frozen=True)
class Place:
    """A message's place in the order: by its creation, the latest first, then by its id."""

    at: datetime
    id: UUID


@dataclass(frozen=True)
class Wanted:
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


async def of(connection: Connection, wanted: Wanted) -> list[Stretch]:
    """The stretches, disjoint, the latest first; together they hold every message that is wanted."""
    if wanted.series == [] or wanted.start >= wanted.end:
        return []
    if wanted.after is None:
        return await _before(connection, wanted, wanted.end)
    # Many may have been created in one moment: those behind it are a range of their own in the index.
    beside = Stretch("beside", wanted.after.at, wanted.after.id)
    return [beside, *await _before(connection, wanted, wanted.after.at)]


async def _before(connection: Connection, wanted: Wanted, end: datetime) -> list[Stretch]:
    start = wanted.start
    if start >= end:
        return []
    if (wanted.series is None and wanted.states is None) or len(wanted.series or ()) > MAX_SERIES:
        return [Stretch("between", start, end)]
    counters = CREATED.counters if wanted.states is None else [state.name.lower() for state in wanted.states]
    sql = _QUERIES["hours"].format(count=added(counters))
    series = [TOTAL] if wanted.series is None else wanted.series
    first = start.replace(minute=0, second=0, microsecond=0)
    row = await connection.fetchrow(sql, wanted.workspace, first, end, series, MAX_COUNTS)
    assert row is not None
    if row["read"] == MAX_COUNTS:
        return [Stretch("between", start, end)]
    found = [(hour, hour + HOUR) for hour in row["hours"]]
    if row["kept"] is None or row["kept"] > start:  # hours are not counted that far back
        found.append((start, end if row["kept"] is None else row["kept"]))
    return [Stretch("between", max(low, start), min(high, end)) for low, high in _joined(found)]


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Spans, the latest first, that touch made one; and at most MAX_STRETCHES."""
    found: list[tuple[datetime, datetime]] = []
    for low, high in spans:
        if found and (high >= found[-1][0] or len(found) == MAX_STRETCHES):
            found[-1] = (low, found[-1][1])
        else:
            found.append((low, high))
    return found
