"""The Vectis API: `/api/v1/analytics` in both its forms, and `/api/v1/tracking/stats`.

Windows (semantics.md): whole buckets up to and including the present one. `1h` is four quarter-hours, `24h`
24 hours, `7d` and `30d` UTC days. A series covers exactly that window, so the totals are the sum of the
series; its first and last point may be clipped by the window (`1h` hourly, `24h` daily).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from aiohttp import web
from redis.asyncio import Redis

from postmeter.query import rates
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Resolution
from postmeter.query.requests.handler import Asked, Clock
from postmeter.shared.apis.documents import vectis as api
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.errors import RequestError, ResultTooLarge
from postmeter.shared.http.answers import json
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import live_totals, streams
from postmeter.shared.stream.live_totals import LiveTotals
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.query.documents", "vectis.sql")
_METRICS = ("sent", "received", "bounced", "spam", "failed", "size_bytes")
_PERIODS = {
    "1h": (timedelta(minutes=15), 4),
    "24h": (timedelta(hours=1), 24),
    "7d": (timedelta(days=1), 7),
    "30d": (timedelta(days=1), 30),
}
_GRANULARITIES = {"hourly": Resolution.HOUR, "daily": Resolution.DAY}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_OWN = frozenset({"period", "granularity", "domain_id"})
_FOREIGN = {
    part.encode_name: endpoint.path
    for endpoint in reversed(ENDPOINTS)
    if endpoint.parameters is not None
    for part in msgspec.structs.fields(endpoint.parameters)
    if part.encode_name not in _OWN
}
"""Names of parameters that only other paths have, each with the first path of the table that has it."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOTALS = LiveTotals.__struct_fields__
MOST_DOMAINS = 100_000
"""Of a workspace, all in one answer: the document has no pages, and any name may be a domain that mail came to."""
REDIS_SECONDS = 0.5
"""How long the live totals wait for Redis."""


def window(period: str, now: datetime) -> tuple[datetime, datetime]:
    """[start, end) of a period at the moment `now`. Raises RequestError INVALID_PERIOD."""
    if period not in _PERIODS:
        raise RequestError(400, "INVALID_PERIOD", "Period must be 1h, 24h, 7d, or 30d.", "period")
    width, count = _PERIODS[period]
    end = _EPOCH + ((now - _EPOCH) // width + 1) * width
    return end - count * width, end


class Analytics:
    """Answers GET /api/v1/analytics."""

    def __init__(self, engine: Engine, pool: Pool, clock: Clock) -> None:
        self._engine = engine
        self._pool = pool
        self._clock = clock

    async def handle(self, asked: Asked) -> web.Response:
        """All domains, or one of them where `domain_id` is given."""
        refuse_foreign(asked, _OWN)
        period = _one(asked, "period", "24h")
        start, end = window(period, self._clock())
        domain_id = asked.request.query.get("domain_id")
        if domain_id is None:
            data: api.AllDomains | api.OneDomain = await self._all(asked, period, start, end)
        else:
            data = await self._series(asked, period, start, end)
        return json({"data": data})  # `meta` is of the request

    async def _all(self, asked: Asked, period: str, start: datetime, end: datetime) -> api.AllDomains:
        query = Query(scope=asked.scope, metrics=_METRICS, start=start, end=end, dimensions=("domain",))
        counted = {row.keys[0]: row.values for row in await self._engine.rows(query)}
        domains = await self._pool.fetch(
            _QUERIES["domains"], asked.scope.workspace, asked.scope.domains, MOST_DOMAINS + 1
        )
        if len(domains) > MOST_DOMAINS:
            raise ResultTooLarge(f"The workspace has more than {MOST_DOMAINS} domains: ask for one.", "domain_id")
        totals = dict(zip(_METRICS, (sum(v) for v in zip(*counted.values(), strict=True)), strict=False))
        totals = {metric: totals.get(metric, 0) for metric in _METRICS}
        nothing = (0,) * len(_METRICS)
        return api.AllDomains(
            period=period,
            totals=api.Totals(
                **totals,
                bounce_rate=rates.percent(totals["bounced"], totals["sent"]),
                spam_rate=rates.percent(totals["spam"], totals["received"]),
            ),
            domains=[
                api.DomainTotals(domain_id=str(id_), domain_name=name, **_named(counted.get(name, nothing)))
                for id_, name in domains
            ],
        )

    async def _series(self, asked: Asked, period: str, start: datetime, end: datetime) -> api.OneDomain:
        granularity = _one(asked, "granularity", "hourly")
        if granularity not in _GRANULARITIES:
            raise RequestError(400, "INVALID_GRANULARITY", "Granularity must be hourly or daily.", "granularity")
        domain_id, name = await self._domain(asked)
        query = Query(
            scope=asked.scope,
            metrics=_METRICS,
            start=start,
            end=end,
            filters={"domain": (name,)},
            resolution=_GRANULARITIES[granularity],
        )
        rows = await self._engine.rows(query)
        points = [_point(granularity, row.start, _named(row.values)) for row in rows]
        return api.OneDomain(str(domain_id), period, granularity, points)

    async def _domain(self, asked: Asked) -> tuple[UUID, str]:
        text = _one(asked, "domain_id", "")
        if not _UUID.fullmatch(text):
            raise RequestError(400, "INVALID_DOMAIN_ID", "domain_id must be a UUID.", "domain_id")
        domain_id = UUID(text)
        name: str | None = await self._pool.fetchval(_QUERIES["domain"], asked.scope.workspace, domain_id)
        if asked.scope.domains is not None and name not in asked.scope.domains:
            # Also for a domain that does not exist: who may not see it learns nothing about it.
            raise RequestError(403, "FORBIDDEN", "No access to the requested domain.", "domain_id")
        if name is None:
            raise RequestError(404, "NOT_FOUND", "There is no such domain.", "domain_id")
        return domain_id, name


class TrackingStats:
    """Answers GET /api/v1/tracking/stats: the live totals of a workspace.

    Redis has them first (ADR 0004). A Redis that was lost or set back has less than was committed, so each shard's
    totals, which only grow, are the higher of what Redis and Postgres say. Redis failing does no harm. Of a shard that
    Postgres does not know nothing was counted: what Redis has of it was, before Postgres was set back to a copy.
    """

    def __init__(self, pool: Pool, redis: Redis) -> None:
        self._pool = pool
        self._redis = redis
        self._failures = logs.Seldom("live totals not readable in Redis")

    async def handle(self, asked: Asked) -> web.Response:
        """The sum over all shards, and since when it is counted."""
        refuse_foreign(asked)
        workspace = asked.scope.workspace
        published = await self._published(workspace)  # first: what is published was committed before
        committed = await self._pool.fetch(_QUERIES["live"], workspace)
        if not committed:
            raise RequestError(404, "NOT_FOUND", "There is no such workspace.")
        shards: dict[int, LiveTotals] = {}
        for row in committed:
            if row["shard"] is not None:
                known = published.get(row["shard"], LiveTotals())
                highest = {name: max(getattr(known, name), row[name]) for name in _TOTALS}
                shards[row["shard"]] = LiveTotals(**highest)
        totals = live_totals.total(shards.values())
        counts = {name: getattr(totals, name) for name in _TOTALS}
        data = api.TrackingStats(**counts, since=stamp(committed[0]["created_at"]))
        return json(api.TrackingStatsAnswer(data, api.Meta.of(asked.principal.request_id)))

    async def _published(self, workspace: int) -> dict[int, LiveTotals]:
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                found = await self._redis.hgetall(streams.live(workspace))
            return {int(shard): live_totals.decode(text) for shard, text in found.items()}
        except (*FAILURES, ValueError) as error:
            self._failures.note(error=logs.words(error))
            return {}


def refuse_foreign(asked: Asked, own: Collection[str] = ()) -> None:
    """A parameter that only another document has, in an answer that does not heed it, would mislead.

    own: those of the path. Raises RequestError 400 INVALID_PARAMETER.
    """
    for name in asked.request.query:
        if name in _FOREIGN:
            message = f"{name} is a parameter of {_FOREIGN[name]}, not of this path, which takes "
            raise RequestError(400, "INVALID_PARAMETER", f"{message}{', '.join(sorted(own)) or 'none'}.", name)


def _one(asked: Asked, name: str, default: str) -> str:
    values = asked.request.query.getall(name, [default])
    if len(values) > 1:
        raise RequestError(400, "INVALID_PARAMETER", f"{name} is given more than once.", name)
    return values[0]


def _named(values: Iterable[int]) -> dict[str, int]:
    return dict(zip(_METRICS, values, strict=True))


def _point(granularity: str, start: datetime, counts: dict[str, int]) -> api.Point:
    if granularity == "daily":
        return api.Point(timestamp=None, date=start.date().isoformat(), **counts)
    return api.Point(timestamp=stamp(start), date=None, **counts)
