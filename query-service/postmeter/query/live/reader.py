"""One reader of a live stream: what waits to be sent to it, and whether it takes what is sent."""

from __future__ import annotations

import asyncio

from aiohttp import web

SLOW_SECONDS = 5.0
"""How long it may take for what is on its way."""
PENDING_BYTES = 2 << 20
"""What may wait while it takes what was sent before."""


class Reader:
    """Nobody waits for a reader: what it is offered waits here, and one that takes too little is dropped."""

    def __init__(self, request: web.Request, *, events: bool) -> None:
        self.events = events
        self._request = request
        self._pending: list[bytes] = []
        self._size = 0
        self._more = asyncio.Event()
        self._ended = False
        self._sending_since: float | None = None

    def offer(self, data: bytes) -> None:
        """More to send."""
        if data and not self._ended:
            self._pending.append(data)
            self._size += len(data)
            self._more.set()

    def is_slow(self) -> bool:
        """Whether it has to be dropped."""
        if self._sending_since is None:
            return False
        seconds = asyncio.get_running_loop().time() - self._sending_since
        return seconds > SLOW_SECONDS or self._size > PENDING_BYTES

    def drop(self) -> None:
        """Cut it off: what is on its way is lost, and whoever sends it stops."""
        self._ended = True
        if self._request.transport is not None:
            self._request.transport.abort()

    def end(self) -> None:
        """Send what waits, and no more."""
        self._ended = True
        self._more.set()

    async def send(self, response: web.StreamResponse) -> None:
        """Send until it ends. Raises ConnectionError where the reader has gone."""
        loop = asyncio.get_running_loop()
        while not self._ended or self._pending:
            await self._more.wait()
            self._more.clear()
            data, self._pending, self._size = b"".join(self._pending), [], 0
            if data:
                self._sending_since = loop.time()
                await response.write(data)
                self._sending_since = None
