"""A small HTTP client for hits alone: kept-alive connections, one request at a time on each.

It tells apart what a general client hides: a request that never left (it may be tried again) and one that
may have been counted although no answer came (it may not).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

from postmeter.shared.errors import PostmeterError

MAX_ANSWER = 1 << 20


class NotSent(PostmeterError):
    """No byte of the request left: nothing can have been counted."""


class NoAnswer(PostmeterError):
    """The request left, its answer did not come: whether it was counted is not known."""


@dataclass
class HitAnswer:
    """What tracking-service answered, its headers byte for byte."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


class _Connection(asyncio.Protocol):
    """One connection. `idle_since` is when it last came free; `lost` is called with it when it is gone."""

    def __init__(self, lost: Callable[[_Connection], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[HitAnswer] | None = None
        self._answer = HitAnswer()
        self._head = False
        self._keep = self._free = True
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all of asyncio.Transport, but do not inherit from it.
        self._transport = cast("asyncio.Transport", transport)

    @property
    def usable(self) -> bool:
        """Whether it can take a request: its last answer is complete and nobody closes it."""
        return self._free and self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes, *, head: bool) -> HitAnswer:
        if self._transport is None:
            raise NotSent("connection lost")
        self._parser = httptools.HttpResponseParser(self)
        self._answer = HitAnswer()
        self._head = head
        self._keep = not head
        self._free = False
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if not self._waiter.done():
                self._waiter.set_exception(NoAnswer("unreadable answer"))
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._head:  # its answer announces a body that does not come
            self._finish()

    def on_body(self, body: bytes) -> None:
        self._answer.body += body
        if len(self._answer.body) > MAX_ANSWER:
            self.close()

    def on_message_complete(self) -> None:
        self._keep = self._keep and self._parser.should_keep_alive()
        self._finish()

    def _finish(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._answer)
        self._free = self._keep

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(NoAnswer("connection lost"))
        self._transport = None
        self._lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class HitClient:
    """At most `connections` requests at a time to `url`; further ones wait their turn."""

    IDLE_SECONDS = 30.0
    """Shorter than the service keeps an idle connection, so that it rarely closes one under a request."""

    def __init__(self, url: str, connections: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self.host_header = parts.netloc.encode()
        self._turns = asyncio.Semaphore(connections)
        self._idle: list[_Connection] = []
        self._closed = False

    async def fetch(self, request: bytes, *, head: bool, seconds: float) -> HitAnswer:
        """Send the request's bytes, wait for the answer. Raises NotSent or NoAnswer."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                await self._turns.acquire()
        except TimeoutError:
            raise NotSent("no connection came free") from None
        try:
            connection = await self._connection(deadline)
            try:
                async with asyncio.timeout_at(deadline):
                    return await connection.ask(request, head=head)
            except TimeoutError:
                raise NoAnswer("timeout") from None
            finally:
                self._put_back(connection)
        finally:
            self._turns.release()

    async def _connection(self, deadline: float) -> _Connection:
        loop = asyncio.get_running_loop()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and loop.time() - connection.idle_since < self.IDLE_SECONDS:
                return connection
            connection.close()
        try:
            async with asyncio.timeout_at(deadline):
                _, made = await loop.create_connection(lambda: _Connection(self._forget), self._host, self._port)
                return made
        except (OSError, TimeoutError) as error:
            raise NotSent(repr(error)) from None

    def _put_back(self, connection: _Connection) -> None:
        """Only whoever took a connection gives it back, when done with it: until then nobody else can have it."""
        if connection.usable and not self._closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    def _forget(self, connection: _Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close what is idle now and what comes free later."""
        self._closed = True
        for connection in self._idle:
            connection.close()
