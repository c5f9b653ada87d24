"""One reader of a live stream: what waits to be sent to it, and whether it takes what is sent."""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

SLOW_SECONDS = 5.0
"""How long it may take for the piece that is on its way."""
PENDING_BYTES = 2 << 20
"""What may wait while it takes what was sent before."""
PIECE = 32 * 1024
"""What is on its way at once. Beside it a reader has no bytes of its own: what waits is the same for all."""


class Reader:
    """Nothing waits for a reader: what it is offered is queued here, and one that takes too little is dropped."""

    def __init__(self, request: web.Request, *, events: bool) -> None:
        self.events = events
        self._request = request
        self._pending: deque[memoryview] = deque()
        self._size = 0
        self._more = asyncio.Event()
        self._ended = False
        self._sending_since: float | None = None

    def offer(self, data: bytes) -> None:
        """Queue more to send."""
        if data and not self._ended:
            self._pending.append(memoryview(data))
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
            while piece := self._take():
                self._sending_since = loop.time()
                await response.write(piece)
                self._sending_since = None

    def _take(self) -> bytes:
        parts: list[memoryview] = []
        room = PIECE
        while room and self._pending:
            data = self._pending.popleft()
            if len(data) > room:
                self._pending.appendleft(data[room:])
            parts.append(data[:room])
            room -= len(parts[-1])
        self._size -= PIECE - room
        return b"".join(parts)
