"""Optail's metrics: a series, a breakdown, a summary. `opened` and `clicked` are unique (semantics.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import web

from postmeter.query import rates
from postmeter.query.engine.buckets import ceil_quarter, floor_quarter
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Resolution
from postmeter.query.requests import parameters, times
from postmeter.query.requests.handler import Asked, Clock
from postmeter.shared.apis.documents.optail import (
    BreakdownAnswer,
    BreakdownParameters,
    BreakdownQuery,
    Bucket,
    Group,
    MetricsAnswer,
    MetricsParameters,
    MetricsQuery,
    Period,
    Summary,
    SummaryAnswer,
    SummaryParameters,
)
from postmeter.shared.http.answers import json
from postmeter.shared.http.fields import invalid
from postmeter.shared.text.stamps import stamp

DEFAULT_DAYS = 30


@dataclass(frozen=True)
class Window:
    """Optail's time range: `from` <= t < `to`, widened outward to quarter-hours (semantics.md, Time).

    [start, end) is what is counted; `since` and `until` is the range as understood, printed in UTC.
    """

    start: datetime
    end: datetime
    since: str
    until: str


def read_window(given: SummaryParameters, now: datetime) -> Window:
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


GROUPED = ("sent", "delivered", "unique_opens", "unique_clicks", "bounced", "complained")
COUNTED = (*GROUPED, "unsubscribed")
GRANULARITIES = {
    "hour": Resolution.HOUR,
    "day": Resolution.DAY,
    "week": Resolution.WEEK,
    "month": Resolution.MONTH,
}
GROUPS = ("provider", "domain", "template")
UNKNOWN = "unknown"


class Metrics:
    """Answers GET /v1/metrics, /v1/metrics/breakdown and /v1/metrics/summary."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def series(self, asked: Asked) -> web.Response:
        """Every bucket that the range touches, ascending; the first and the last hold what lies in the range."""
        given = parameters.read(asked.request, MetricsParameters)
        if given.granularity not in GRANULARITIES:
            raise parameters.invalid("granularity", f"must be one of {', '.join(GRANULARITIES)}.")
        asked_for = read_window(given, self._clock())
        query = _query(asked, asked_for, COUNTED, resolution=GRANULARITIES[given.granularity])
        data = [Bucket(f"{row.start:%Y-%m-%d %H:%M:%S}", *row.values) for row in await self._engine.rows(query)]
        return json(MetricsAnswer(data, MetricsQuery(asked_for.since, asked_for.until, given.granularity)))

    async def breakdown(self, asked: Asked) -> web.Response:
        """Every group with a count, those that sent most first; what has no such name is one group, `unknown`."""
        given = parameters.read(asked.request, BreakdownParameters)
        if given.group_by not in GROUPS:
            raise parameters.invalid("groupBy", f"must be one of {', '.join(GROUPS)}.")
        asked_for = read_window(given, self._clock())
        rows = await self._engine.rows(_query(asked, asked_for, GROUPED, dimensions=(given.group_by,)))
        groups: dict[str, tuple[int, ...]] = {}
        for row in rows:
            name = row.keys[0] or UNKNOWN
            # Somebody may call a template "unknown".
            known = groups.get(name, (0,) * len(GROUPED))
            groups[name] = tuple(map(sum, zip(known, row.values, strict=True)))
        data = sorted((Group(name, *counts) for name, counts in groups.items() if any(counts)), key=_place)
        return json(BreakdownAnswer(data, BreakdownQuery(asked_for.since, asked_for.until, given.group_by)))

    async def summary(self, asked: Asked) -> web.Response:
        """The range's totals and rates."""
        given = parameters.read(asked.request, SummaryParameters)
        asked_for = read_window(given, self._clock())
        rows = await self._engine.rows(_query(asked, asked_for, COUNTED))
        counts = rows[0].values if rows else (0,) * len(COUNTED)  # an empty range has no bucket
        sent, delivered, opened, clicked, bounced, complained, unsubscribed = counts
        data = Summary(
            *(sent, delivered, opened, clicked, bounced, complained, unsubscribed),
            rates.fraction(delivered, sent),
            rates.fraction(opened, delivered),
            rates.fraction(clicked, opened),
            rates.fraction(bounced, sent),
            rates.fraction(complained, delivered),
        )
        return json(SummaryAnswer(data, Period(asked_for.since, asked_for.until)))


def _query(
    asked: Asked,
    asked_for: Window,
    metrics: tuple[str, ...],
    dimensions: tuple[str, ...] = (),
    resolution: Resolution = Resolution.TOTAL,
) -> Query:
    return Query(
        scope=asked.scope,
        metrics=metrics,
        start=asked_for.start,
        end=asked_for.end,
        dimensions=dimensions,
        resolution=resolution,
    )


def _place(group: Group) -> tuple[int, str]:
    return -group.sent, group.name
