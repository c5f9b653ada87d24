"""Where buckets begin, in any time zone, through every change of the clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from postmeter.query.engine.query import MAX_ROWS, QUARTER, Resolution
from postmeter.shared.errors import ResultTooLarge

_QUARTER = timedelta(seconds=QUARTER)
_HOUR = timedelta(hours=1)
_SHORTEST = {
    Resolution.QUARTER_HOUR: QUARTER,
    Resolution.HOUR: 3600,
    Resolution.DAY: 82800,
    Resolution.WEEK: 7 * 86400 - 3600,
    Resolution.MONTH: 28 * 86400 - 3600,
}


def floor_quarter(instant: datetime) -> datetime:
    """The quarter-hour that `instant` lies in."""
    return datetime.fromtimestamp(instant.timestamp() // QUARTER * QUARTER, UTC)


def ceil_quarter(instant: datetime) -> datetime:
    """The first quarter-hour that is not before `instant`."""
    floor = floor_quarter(instant)
    return floor if floor == instant else floor + _QUARTER


def starts(start: datetime, end: datetime, zone: tzinfo, resolution: Resolution) -> list[datetime]:
    """The first instants (UTC, ascending) of all buckets that [start, end) touches.

    The first one may lie before `start`. An empty range touches none. Raises ResultTooLarge for more
    than MAX_ROWS buckets.
    """
    if start >= end:
        return []
    if resolution is Resolution.TOTAL:
        return [start]
    if (end - start).total_seconds() / _SHORTEST[resolution] > MAX_ROWS:
        raise ResultTooLarge(
            f"The range has more than {MAX_ROWS} buckets of one {resolution.replace('_', '-')}: narrow the range,"
            " or ask for a coarser resolution.",
            "resolution",
        )
    first = floor_quarter(start)
    if resolution is Resolution.QUARTER_HOUR:
        return [first + i * _QUARTER for i in range(-((first - end) // _QUARTER))]
    if resolution is Resolution.HOUR and zone is UTC:
        first -= timedelta(minutes=first.minute)
        return [first + i * _HOUR for i in range(-((first - end) // _HOUR))]
    if resolution is Resolution.HOUR:
        return list(_hours(first, end, zone))
    return list(_days(start, end, zone, resolution))


def _hours(start: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
    # An hour that the clocks repeat is two buckets: its offset tells them apart.
    def key(instant: datetime) -> tuple[datetime, timedelta | None]:
        local = instant.astimezone(zone)
        return local.replace(minute=0, second=0, microsecond=0, tzinfo=None, fold=0), local.utcoffset()

    current = key(start)
    first = start
    while key(first - _QUARTER) == current:
        first -= _QUARTER
    yield first
    instant = start + _QUARTER
    while instant < end:
        found = key(instant)
        if found != current:
            current = found
            yield instant
            if instant.astimezone(zone).minute == 0:
                # Until the clocks change, one hour follows another.
                while (following := instant + _HOUR) < end and following.astimezone(zone).utcoffset() == current[1]:
                    instant = following
                    yield instant
                current = key(instant)
        instant += _QUARTER


def _days(start: datetime, end: datetime, zone: tzinfo, resolution: Resolution) -> Iterator[datetime]:
    day = _period(start.astimezone(zone).date(), resolution)
    instant = first_instant(day, zone)
    while instant < end:
        day = _next(day, resolution)
        following = first_instant(day, zone)
        if following > max(instant, start):  # a day that a zone left out has no instant of its own
            yield instant
        instant = following


def first_instant(day: date, zone: tzinfo) -> datetime:
    """When `day` begins in `zone`; where the clocks skip midnight, the moment they do."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _period(day: date, resolution: Resolution) -> date:
    if resolution is Resolution.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if resolution is Resolution.MONTH else day


def _next(day: date, resolution: Resolution) -> date:
    if resolution is Resolution.MONTH:
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if resolution is Resolution.WEEK else 1)
