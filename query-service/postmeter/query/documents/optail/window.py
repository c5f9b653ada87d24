"""Optail's time range: `from` <= t < `to`, widened outward to quarter-hours (semantics.md, Time)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from postmeter.query.engine.buckets import ceil_quarter, floor_quarter
from postmeter.query.requests import times
from postmeter.shared.apis.documents.optail import SummaryParameters
from postmeter.shared.http.fields import invalid
from postmeter.shared.text.stamps import stamp

DEFAULT_DAYS = 30


@dataclass(frozen=True)
class Window:
    """[start, end) is what is counted; `since` and `until` is the range as understood, printed in UTC."""

    start: datetime
    end: datetime
    since: str
    until: str


def read(given: SummaryParameters, now: datetime) -> Window:
    """The range asked for at the moment `now`; what is not given is its default, whatever the other one is.

    Raises FieldRefused.
    """
    start, end = now - timedelta(days=DEFAULT_DAYS), now
    if given.start is not None:
        start = times.instant(given.start, "from", UTC, last=False)
    if given.end is not None:
        end = times.instant(given.end, "to", UTC, last=True)
    if start > end and given.start is None:
        raise invalid("to", f"lies before the default of `from`, {DEFAULT_DAYS} days ago: give `from` too")
    if start > end and given.end is None:
        raise invalid("from", "lies after the default of `to`, now: give `to` too")
    is_day = given.end is not None and times.is_date(given.end)
    times.check_range(start, end, "from", "to", ends_a_day=is_day)
    # The last instant of a day is printed as its last second.
    until = end - timedelta(seconds=1) if is_day else end
    empty = start == end
    return Window(floor_quarter(start), floor_quarter(end) if empty else ceil_quarter(end), stamp(start), stamp(until))
