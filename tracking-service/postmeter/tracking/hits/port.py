"""What all connections of the public port share: limits, the set of them, and the way to aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from postmeter.shared.errors import RequestError
from postmeter.shared.http.clients.connections import Connections
from postmeter.shared.http.server import LAST_REQUESTS, Server
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.hits.answers import Clock
from postmeter.tracking.hits.client import Clients
from postmeter.tracking.hits.policy import HitPolicy
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.settings import TrackingSettings

TICK_SECONDS = 1.0


class Client(Protocol):
    """A connection, as the port sees it."""

    def shut(self) -> None:
        """Take no more requests; close when what is pending is answered."""

    def sweep(self, header_timeout: float, idle_timeout: float) -> None:
        """Close where it has been silent, or has dribbled its head, for too long. In seconds."""


class Port:
    """The public port's shared state. `server` is aiohttp's, which takes over what is not a tracking URL."""

    def __init__(
        self,
        settings: TrackingSettings,
        policy: HitPolicy,
        committer: Committer,
        metrics: TrackingMetrics,
        server: Server,
        connections: Connections,
        clients: Clients,
    ) -> None:
        self.clock = Clock()
        self.policy = policy
        self.committer = committer
        self.metrics = metrics
        self.clients = clients
        self._settings = settings
        self._server = server
        self._connections = connections
        self.closing = False
        self._clients: set[Client] = set()
        self._empty = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def admit(self, client: Client, peer: str) -> RequestError | None:
        """Count a new connection in; the error to answer it with if it is one too many."""
        self._clients.add(client)
        self._empty.clear()
        return self._connections.admit(peer)

    def release(self, client: Client, peer: str) -> None:
        """Count a connection out, once; one that was handed over has been already."""
        if client not in self._clients:
            return
        self._clients.remove(client)
        self._connections.release(peer)
        if not self._clients:
            self._empty.set()

    def hand_over(
        self,
        client: Client,
        peer: str,
        transport: asyncio.Transport,
        unread: bytes,
        *,
        ended: bool,
        stalled: bool,
    ) -> None:
        """Let aiohttp go on with a connection, from the beginning of a request.

        ended: the client will send no more. stalled: it does not take its answers just now.
        """
        self.release(client, peer)
        handler = self._server()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        if stalled:
            handler.pause_writing()  # the transport says so once, and has
        handler.data_received(unread)
        if ended:
            handler.last()

    async def last_requests(self) -> None:
        """Answer what is on its way, each answer its connection's last; idle clients are not waited for long."""
        self.closing = True
        self._server.pre_shutdown()
        await self.closed(self._settings.stop_timeout * LAST_REQUESTS)

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
        self.metrics.connections.set(self._connections.open)
        for client in list(self._clients):
            client.sweep(self._settings.header_timeout, self._settings.idle_timeout)
