"""Vectis's `/api/v1/tracking/stats`: the live totals of a workspace.

Redis has them first (ADR 0004). A Redis that was lost or set back has less than was committed, so each
shard's totals, which only grow, are the higher of what Redis and Postgres say. Redis failing does no harm. Of a shard
that Postgres does not know nothing was counted: what Redis has of it was, before Postgres was set back to a copy.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web
from redis.asyncio import Redis

from postmeter.query.documents import vectis
from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.documents import vectis as api
from postmeter.shared.errors import RequestError
from postmeter.shared.http.answers import json
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import live_totals, streams
from postmeter.shared.stream.live_totals import LiveTotals
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.query.documents", "vectis.sql")
_FIELDS = LiveTotals.__struct_fields__
REDIS_SECONDS = 0.5


class TrackingStats:
    """Answers GET /api/v1/tracking/stats."""

    def __init__(self, pool: Pool, redis: Redis) -> None:
        self._pool = pool
        self._redis = redis
        self._failures = logs.Seldom("live totals not readable in Redis")

    async def handle(self, asked: Asked) -> web.Response:
        """The sum over all shards, and since when it is counted."""
        vectis.refuse_foreign(asked)
        workspace = asked.scope.workspace
        published = await self._published(workspace)  # first: what is published was committed before
        committed = await self._pool.fetch(_QUERIES["live"], workspace)
        if not committed:
            raise RequestError(404, "NOT_FOUND", "There is no such workspace.")
        shards: dict[int, LiveTotals] = {}
        for row in committed:
            if row["shard"] is not None:
                known = published.get(row["shard"], LiveTotals())
                highest = {name: max(getattr(known, name), row[name]) for name in _FIELDS}
                shards[row["shard"]] = LiveTotals(**highest)
        totals = live_totals.total([live_totals.encode(shard) for shard in shards.values()])
        counts = {name: getattr(totals, name) for name in _FIELDS}
        data = api.TrackingStats(**counts, since=stamp(committed[0]["created_at"]))
        return json(api.TrackingStatsAnswer(data, api.Meta.of(asked.principal.request_id)))

    async def _published(self, workspace: int) -> dict[int, LiveTotals]:
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                found = await self._redis.hgetall(streams.live(workspace))
            return {int(shard): msgspec.json.decode(text, type=LiveTotals) for shard, text in found.items()}
        except (*FAILURES, ValueError) as error:
            self._failures.note(error=logs.words(error))
            return {}
