"""`GET /v1/live`: server-sent events (docs/api/live.md, ADR 0041)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web
from redis.asyncio import Redis

from postmeter.query.live.channel import Channel
from postmeter.query.live.reader import Reader
from postmeter.query.metrics import LiveMetrics
from postmeter.query.requests import parameters
from postmeter.query.requests.connection_limiter import ConnectionLimiter
from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.queries.live import LiveParameters
from postmeter.shared.errors import RequestError
from postmeter.shared.storage.postgres import Pool

MAX_READERS = 1_000
"""Of one process."""
OF_ONE = MAX_READERS // 2
"""Of one workspace in it, through however many gateways."""
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


class Live:
    """Answers GET /v1/live; each workspace that is watched has one channel."""

    def __init__(self, pool: Pool, redis: Redis, limiter: ConnectionLimiter, metrics: LiveMetrics) -> None:
        self._pool = pool
        self._redis = redis
        self._limiter = limiter
        self._metrics = metrics
        self._channels: dict[int, tuple[Channel, asyncio.Task[None]]] = {}
        self._readers: dict[Reader, int] = {}
        self._closed = False

    async def handle(self, asked: Asked) -> web.StreamResponse:
        """The stream, until the reader leaves, is dropped, or the service stops. Raises RequestError before that."""
        given = parameters.read(asked.request, LiveParameters)
        if given.events not in ("0", "1"):
            raise parameters.invalid("events", "takes 0 or 1.")
        if asked.scope.domains is not None:
            message = "Live counters are of the whole workspace: a key that is confined to domains cannot see them."
            raise RequestError(403, "FORBIDDEN", message)
        workspace = asked.scope.workspace
        own = sum(whose == workspace for whose in self._readers.values())
        if self._closed or len(self._readers) >= MAX_READERS or own >= OF_ONE:
            raise RequestError(503, "UNAVAILABLE", "Too many look on already; try again.", None, {"Retry-After": "5"})
        reader = Reader(asked.request, events=given.events == "1")
        response = web.StreamResponse(headers=HEADERS)
        self._readers[reader] = workspace
        self._metrics.readers.set(len(self._readers))
        try:
            await self._channel(workspace).join(reader, asked.request.headers.get("Last-Event-ID"))
            await response.prepare(asked.request)
            with suppress(ConnectionError):
                await reader.send(response)
                await response.write_eof()
        finally:
            self._leave(reader, workspace)
        return response

    async def close(self) -> None:
        """End every stream: readers reconnect, to another process."""
        self._closed = True
        for reader in list(self._readers):
            reader.end()
        for channel, task in self._channels.values():
            task.cancel()
            channel.stop()

    def _channel(self, workspace: int) -> Channel:
        known = self._channels.get(workspace)
        if known is None:
            channel = Channel(workspace, self._pool, self._redis, self._limiter, self._metrics)
            known = self._channels[workspace] = channel, asyncio.create_task(channel.run())
        return known[0]

    def _leave(self, reader: Reader, workspace: int) -> None:
        del self._readers[reader]
        self._metrics.readers.set(len(self._readers))
        channel, task = self._channels[workspace]
        channel.readers.discard(reader)
        if workspace not in self._readers.values():
            task.cancel()
            del self._channels[workspace]
