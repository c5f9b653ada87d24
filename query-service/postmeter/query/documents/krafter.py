"""The Krafter statistics API: messages by the time of their creation, under their present state.

The states exclude each other and `total` is their sum (semantics.md). `sending` is shown under `queued`, soft
and hard bounces under `bounced`.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from aiohttp import web

from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Resolution, Row
from postmeter.query.requests import parameters
from postmeter.query.requests.handler import Asked, Clock
from postmeter.shared.apis.documents.krafter import (
    STATUSES,
    ByStatus,
    DailyAnswer,
    DailyParameters,
    DayRow,
    Stats,
    StatsAnswer,
    StatsParameters,
)
from postmeter.shared.http.answers import json
from postmeter.shared.storage.rollups import CREATED
from postmeter.shared.text.stamps import stamp

PERIODS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
FALL_BACK = "7d"
MAX_DAYS = 365
_SHOWN_AS = {
    "queued": "queued",
    "sending": "queued",
    "sent": "sent",
    "delivered": "delivered",
    "soft_bounced": "bounced",
    "hard_bounced": "bounced",
    "complained": "complained",
    "failed": "failed",
}


class Krafter:
    """Answers GET /api/v1/mail/stats and GET /api/v1/mail/stats/daily."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def stats(self, asked: Asked) -> web.Response:
        """Messages created from `since` up to and including the present second; `since` is exact to the second."""
        given = parameters.read(asked.request, StatsParameters).period
        period = given if given in PERIODS else FALL_BACK
        now = self._clock().replace(microsecond=0)
        since = now - timedelta(days=PERIODS[period])
        (row,) = await self._engine.rows(_query(asked, since, now + timedelta(seconds=1)))
        counts = _by_status(row)
        return json(StatsAnswer(Stats(period, stamp(since), sum(counts.values()), ByStatus(**counts))))

    async def daily(self, asked: Asked) -> web.Response:
        """One row for each of the last `days` UTC days, today's last."""
        days = min(parameters.whole(parameters.read(asked.request, DailyParameters).days, "days"), MAX_DAYS)
        tomorrow = datetime.combine(self._clock().date(), time(), UTC) + timedelta(days=1)
        query = _query(asked, tomorrow - timedelta(days=days), tomorrow, Resolution.DAY)
        rows = await self._engine.rows(query)
        return json(DailyAnswer([DayRow(row.start.date().isoformat(), **_by_status(row)) for row in rows]))


def _query(asked: Asked, start: datetime, end: datetime, resolution: Resolution = Resolution.TOTAL) -> Query:
    return Query(
        scope=asked.scope, metrics=CREATED.counters, start=start, end=end, resolution=resolution, rollup=CREATED
    )


def _by_status(row: Row) -> dict[str, int]:
    counts = dict.fromkeys(STATUSES, 0)
    for state, count in zip(CREATED.counters, row.values, strict=True):
        counts[_SHOWN_AS[state]] += count
    return counts
