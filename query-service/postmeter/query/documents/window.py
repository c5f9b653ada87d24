"""The windows of Workspaces and Misar (semantics.md, "Time"): whole UTC days, both ends printed.

N days are from 00:00:00 UTC N days ago to 23:59:59 UTC today. A caller may give other ends: a date is its first
or last instant, a timestamp is widened outward to quarter-hours, and what is printed is what was counted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from postmeter.query.engine.buckets import ceil_quarter, floor_quarter
from postmeter.query.requests import times
from postmeter.shared.errors import FieldRefused, RequestError

PERIODS = {"7d": 7, "30d": 30, "90d": 90}
"""Presets and their days."""
DEFAULT = "30d"
CUSTOM = "custom"
PARAMETERS = ("timeRange", "startDate", "endDate")
"""Names of range, start and end in Workspaces' query strings."""
BODY = ("time_range", "start_date", "end_date")
"""Their names in Workspaces' bodies."""
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Window:
    """[start, end_exclusive), on quarter-hours. period: a preset's name, or `custom`."""

    start: datetime
    end_exclusive: datetime
    period: str

    @property
    def end(self) -> datetime:
        """The last second counted, as it is printed; of an empty window its start."""
        return max(self.start, self.end_exclusive - _SECOND)

    def whole_days(self) -> Window:
        """The window widened outward to whole UTC days."""
        return Window(_midnight(self.start), _midnight(self.end) + _DAY, self.period)


def preset(period: str, now: datetime, allowed: Collection[str] = PERIODS, name: str = PARAMETERS[0]) -> Window:
    """The last N days and today. Raises RequestError 400 INVALID_TIME_RANGE for a period that is not allowed."""
    if period not in allowed:
        raise invalid(f"{name} takes {', '.join(allowed)}", name)
    today = _midnight(now)
    return Window(today - PERIODS[period] * _DAY, today + _DAY, period)


def read(
    time_range: str | None,
    start: str | None,
    end: str | None,
    now: datetime,
    names: tuple[str, str, str] = PARAMETERS,
) -> Window:
    """Workspaces' window: a preset, or `custom`, which dates without a range mean too.

    Dates beside a preset are not looked at. Raises RequestError 400 INVALID_TIME_RANGE.
    """
    if time_range is None:
        time_range = DEFAULT if start is None and end is None else CUSTOM
    if time_range not in (*PERIODS, CUSTOM):
        raise invalid(f"{names[0]} takes {', '.join(PERIODS)} or {CUSTOM}", names[0])
    if time_range != CUSTOM:
        return preset(time_range, now)
    return between(start, end, preset(DEFAULT, now), names[1:])


def between(start: str | None, end: str | None, default: Window, names: tuple[str, str]) -> Window:
    """A window with the ends that are given; one that is not is the default's.

    Raises RequestError 400 INVALID_TIME_RANGE for what is not a time, a start after the end, and too long a range.
    """
    first = default.start if start is None else _instant(start, names[0], last=False)
    until = default.end_exclusive if end is None else _instant(end, names[1], last=True)
    # A date ends with its last instant, so that the next day's first one is after it; a timestamp is itself.
    ends_a_day = end is None or until != _instant(end, names[1], last=False)
    if first > (until - timedelta.resolution if ends_a_day else until):
        if start is None:
            raise invalid(f"{names[1]} lies before the default of {names[0]}, {first:%Y-%m-%d}: give both", names[1])
        if end is None:
            raise invalid(f"{names[0]} lies after the default of {names[1]}, today: give both", names[0])
        raise invalid("Start date must be before end date", names[0])
    if until - first > timedelta(days=times.MAX_DAYS):
        raise invalid(f"{names[0]}: the range may span {times.MAX_DAYS} days at most", names[0])
    return Window(floor_quarter(first), floor_quarter(until) if first == until else ceil_quarter(until), CUSTOM)


def invalid(message: str, name: str) -> RequestError:
    """Workspaces' error of a window."""
    return RequestError(400, "INVALID_TIME_RANGE", message, name)


def _instant(text: str, name: str, *, last: bool) -> datetime:
    try:
        return times.instant(text, name, UTC, last=last)
    except FieldRefused as error:
        raise invalid(error.message, name) from None


def _midnight(instant: datetime) -> datetime:
    return datetime.combine(instant.astimezone(UTC).date(), time(), UTC)
