"""The Misar analytics API: its reads. Opens and clicks are totals, rates are fractions with three decimals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from aiohttp import web

from postmeter.query import rates
from postmeter.query.documents import campaigns, window
from postmeter.query.documents.campaigns import Campaign
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Resolution
from postmeter.query.requests import parameters, times
from postmeter.query.requests.handler import Asked, Clock, Handler
from postmeter.shared.apis.documents import misar as api
from postmeter.shared.errors import RequestError
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.rollups import CREATED, STATE_COUNTERS, SUMMED_BY
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.query.documents", "misar.sql")
_HOURS = _QUERIES["hours"].format(campaign=1 + SUMMED_BY.index("campaign"))
_METRICS = (
    "sent",
    "delivered",
    "opens",
    "unique_opens",
    "clicks",
    "unique_clicks",
    "bounced",
    "hard_bounced",
    "soft_bounced",
    "complained",
    "unsubscribed",
)
"""In the order of Misar's overview."""
_RESOLUTIONS = ("hour", "day", "week", "month")
_DIMENSIONS = ("campaign", "domain")
"""What the published client may group by: buckets of UTC, or names."""
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""No campaign is older."""
_HOUR = timedelta(hours=1)
_EPOCH = date(1970, 1, 1).toordinal()
_TIMES = [f"T{hour:02}:00:00Z" for hour in range(24)]
"""Of a day's hours, behind its date."""
MAX_HOURS = 20_000
"""Hours of a timeline at most: more than hourly counts are kept by default, 25 months."""


def handlers(engine: Engine, pool: Pool, clock: Clock) -> dict[str, Handler]:
    """Who answers which path of Misar's reads."""
    answers = Analytics(engine, pool, clock)
    return {
        "/api/v1/analytics/overview": answers.overview,
        "/api/v1/analytics/campaigns/{id}": answers.campaign,
        f"{api.CLIENT_BASE}/analytics": answers.client,
    }


class Analytics:
    """Answers Misar's reads."""

    def __init__(self, engine: Engine, pool: Pool, clock: Clock) -> None:
        self._engine = engine
        self._pool = pool
        self._clock = clock

    async def overview(self, asked: Asked) -> web.Response:
        """GET /api/v1/analytics/overview: the workspace in a window, by the time at which things happened."""
        given = parameters.read(asked.request, api.OverviewParameters)
        # `from` overrides it: what it says then, such as `custom`, is not looked at.
        period = given.period if given.start is None else window.DEFAULT
        default = window.preset(period, self._clock(), name="period")
        days = window.between(times.in_utc(given.start), times.in_utc(given.end), default, ("from", "to"))
        query = Query(scope=asked.scope, metrics=_METRICS, start=days.start, end=days.end_exclusive)
        metrics = _overview(await self._counts(query))
        return json(api.OverviewAnswer(True, api.Period(stamp(days.start), stamp(days.end)), metrics))

    async def client(self, asked: Asked) -> web.Response:
        """GET /mail/v1/analytics: the overview as the published client asks, of one campaign, or in parts."""
        given = parameters.read(asked.request, api.ClientParameters)
        if given.group_by is not None and given.group_by not in (*_RESOLUTIONS, *_DIMENSIONS):
            raise parameters.invalid("group_by", f"takes {', '.join((*_RESOLUTIONS, *_DIMENSIONS))}.")
        default = window.preset(window.DEFAULT, self._clock())
        ends = times.in_utc(given.start_date), times.in_utc(given.end_date)
        days = window.between(*ends, default, ("start_date", "end_date"))
        if given.campaign_id is not None:
            await self._campaign(asked, given.campaign_id)
        query = Query(
            scope=asked.scope,
            metrics=_METRICS,
            start=days.start,
            end=days.end_exclusive,
            filters={} if given.campaign_id is None else {"campaign": (given.campaign_id,)},
        )
        period, metrics = api.Period(stamp(days.start), stamp(days.end)), _overview(await self._counts(query))
        if given.group_by is None:
            return json(api.ClientAnswer(True, period, metrics))
        return json(api.ClientAnswer(True, period, metrics, await self._groups(query, given.group_by)))

    async def campaign(self, asked: Asked) -> web.Response:
        """GET /api/v1/analytics/campaigns/{id}: a campaign's whole life."""
        campaign_id = asked.request.match_info["id"]
        campaign = await self._campaign(asked, campaign_id)
        end = self._tomorrow()
        # Nothing has happened before; to plan for empty months takes longer than to read what there is.
        first: datetime | None = await self._pool.fetchval(_QUERIES["first_day"], asked.scope.workspace)
        life = Query(
            scope=asked.scope,
            metrics=_METRICS,
            start=min(first or end, end),
            end=end,
            filters={"campaign": (campaign_id,)},
        )
        counts = await self._counts(life)
        created = await self._counts(replace(life, metrics=STATE_COUNTERS, start=_BEGINNING, rollup=CREATED))
        return json(
            api.CampaignAnswer(
                success=True,
                campaign=api.Campaign(
                    campaign.id, campaign.name, campaign.status, stamp(campaign.sent_at) if campaign.sent_at else None
                ),
                metrics=api.CampaignMetrics(
                    total_recipients=sum(created.values()),
                    total_sent=counts["sent"],
                    total_delivered=counts["delivered"],
                    total_opened=counts["opens"],
                    total_clicked=counts["clicks"],
                    total_bounced=counts["bounced"],
                    total_complained=counts["complained"],
                    total_unsubscribed=counts["unsubscribed"],
                    open_rate=rates.fraction(counts["opens"], counts["sent"], 3),
                    click_rate=rates.fraction(counts["clicks"], counts["sent"], 3),
                    bounce_rate=rates.fraction(counts["bounced"], counts["sent"], 3),
                ),
                timeline=await self._timeline(life, campaign_id),
            )
        )

    async def _campaign(self, asked: Asked, campaign_id: str) -> Campaign:
        campaign = await campaigns.find(self._pool, asked.scope, campaign_id)
        if campaign is None:
            raise RequestError(404, "CAMPAIGN_NOT_FOUND", f"Campaign with ID {campaign_id} not found")
        return campaign

    async def _groups(self, query: Query, by: str) -> list[api.Group]:
        if by in _DIMENSIONS:
            rows = await self._engine.rows(replace(query, dimensions=(by,)))
        else:
            rows = await self._engine.rows(replace(query, resolution=Resolution(by)))
        return [
            api.Group(
                row.keys[0] if row.keys else stamp(row.start),
                _overview(dict(zip(query.metrics, row.values, strict=True))),
            )
            for row in rows
        ]

    async def _counts(self, query: Query) -> dict[str, int]:
        rows = await self._engine.rows(query)
        return dict(zip(query.metrics, rows[0].values if rows else (0,) * len(query.metrics), strict=True))

    async def _timeline(self, life: Query, campaign_id: str) -> list[api.Hour]:
        """Every hour (UTC) from the first to the last with an open or a click, MAX_HOURS at most."""
        if life.end - life.start <= MAX_HOURS * _HOUR:
            hourly = replace(life, metrics=("opens", "clicks"), resolution=Resolution.HOUR)
            starts, cells = await self._engine.cells(hourly)
            begin = _hour(life.start) if starts else 0
            found = {begin + number: values for (number, _), values in cells.items() if any(values)}
        else:
            found = await self._hours(life, campaign_id)
        if not found:
            return []
        first = min(found)
        hours = range(first, min(max(found) + 1, first + MAX_HOURS))
        # A day is printed once, for they may be thousands.
        days = {day: date.fromordinal(_EPOCH + day).isoformat() for day in range(hours[0] // 24, hours[-1] // 24 + 1)}
        return [api.Hour(days[hour // 24] + _TIMES[hour % 24], *found.get(hour, (0, 0))) for hour in hours]

    async def _hours(self, life: Query, campaign_id: str) -> dict[int, tuple[int, int]]:
        """The first MAX_HOURS with an open or a click, of however many."""
        scope = life.scope
        given = (scope.workspace, campaign_id, life.start, life.end, MAX_HOURS)
        if scope.domains is None:
            rows = await self._pool.fetch(_HOURS, *given)
        else:
            rows = await self._pool.fetch(_QUERIES["hours_of_domains"], *given, scope.domains)
        return {_hour(row["bucket"]): (row["opens"], row["clicks"]) for row in rows}

    def _tomorrow(self) -> datetime:
        """A midnight behind everything that can have happened: events come up to an hour ahead of the clock."""
        return datetime.combine(self._clock().date(), datetime.min.time(), UTC) + timedelta(days=2)


def _hour(instant: datetime) -> int:
    """Hours since 1970."""
    return int(instant.timestamp()) // 3600


def _overview(counts: dict[str, int]) -> api.OverviewMetrics:
    return api.OverviewMetrics(
        sends=counts["sent"],
        delivered=counts["delivered"],
        opens=counts["opens"],
        unique_opens=counts["unique_opens"],
        clicks=counts["clicks"],
        unique_clicks=counts["unique_clicks"],
        bounces=counts["bounced"],
        hard_bounces=counts["hard_bounced"],
        soft_bounces=counts["soft_bounced"],
        complaints=counts["complained"],
        unsubscribes=counts["unsubscribed"],
        open_rate=rates.fraction(counts["opens"], counts["sent"], 3),
        click_rate=rates.fraction(counts["clicks"], counts["sent"], 3),
        bounce_rate=rates.fraction(counts["bounced"], counts["sent"], 3),
        complaint_rate=rates.fraction(counts["complained"], counts["sent"], 3),
    )
