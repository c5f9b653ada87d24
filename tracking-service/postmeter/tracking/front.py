"""What all connections of the public port share: limits, the set of them, and the way to aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

from postmeter.shared.metrics import TrackingMetrics
from postmeter.tracking.answers import Clock
from postmeter.tracking.committer import Committer
from postmeter.tracking.desk import Desk
from postmeter.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from postmeter.tracking.protocol import HitProtocol

# A destination of 8 KB is 24 KB when every byte of it is percent-encoded.
LINE_LIMIT = 32 * 1024
HEAD_LIMIT = 48 * 1024
HEADERS_LIMIT = 100
TICK_SECONDS = 1.0


class Front:
    """The public port's shared state. `server` is aiohttp's, which takes over what is no tracking URL."""

    def __init__(
        self,
        settings: TrackingSettings,
        desk: Desk,
        committer: Committer,
        metrics: TrackingMetrics,
        server: web.Server,
    ) -> None:
        self.clock = Clock()
        self.desk = desk
        self.committer = committer
        self.metrics = metrics
        self.hops = settings.trusted_hops
        self._settings = settings
        self._server = server
        self._clients: set[HitProtocol] = set()
        self._empty = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def admit(self, client: HitProtocol) -> bool:
        """Count a new connection in. False if there are as many as there may be."""
        self._clients.add(client)
        self._empty.clear()
        return len(self._clients) + len(self._server.connections) <= self._settings.max_connections

    def release(self, client: HitProtocol) -> None:
        """Count a connection out."""
        self._clients.discard(client)
        if not self._clients:
            self._empty.set()

    def hand_over(self, client: HitProtocol, transport: asyncio.Transport, unread: bytes) -> None:
        """Let aiohttp go on with a connection, from the beginning of a request."""
        self.release(client)
        handler = self._server()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(unread)

    def close(self) -> None:
        """Let no connection begin another request."""
        self._timer.cancel()
        for client in list(self._clients):
            client.shut()

    async def closed(self, timeout: float) -> None:
        """Return when the last answers have left; clients that do not read are not waited for any longer."""
        if self._clients:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        self.clock.tick()
        self.metrics.connections.set(len(self._clients) + len(self._server.connections))
        for client in list(self._clients):
            client.sweep(self._settings.header_timeout, self._settings.idle_timeout)
