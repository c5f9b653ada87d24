"""Request bodies as they come: inflated, and bounded by their inflated size (hostile-input.md 27)."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from aiohttp.web_exceptions import HTTPException

from postmeter.shared.errors import RequestError, Unavailable
from postmeter.shared.http import refusals
from postmeter.shared.http.concurrency import ConcurrencyLimiter
from postmeter.shared.http.large_answers import LargeAnswers

PIECE = 64 * 1024
"""Bytes of inflated text at once."""
LARGE = 256 << 10
"""A service keeps this much of a body before it takes a turn."""
MOST_MEMBERS = 1000
"""Of one gzip stream: empty ones have twenty bytes, and beginning each takes as long as inflating kilobytes."""
AT_ONCE = 4
OF_A_WORKSPACE = 2
"""Large bodies of one workspace, of AT_ONCE of a process."""
Turn = Callable[[], Awaitable[None]]
_BUSY = "Too many large requests at once; try again in a second, or send smaller ones."
_GZIP = 16 + zlib.MAX_WBITS


class IncomingBody:
    """The body of `request`, to be read once. Raises RequestError 413 or 415 for what its headers say already.

    begun, ended: how far reading has come. kept: bytes of it that are in memory while a turn is awaited. error: what is
    wrong with it, found while it was read.
    """

    def __init__(self, request: web.BaseRequest, limit: int) -> None:
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", ""):
            raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", "The body may be plain or gzip, in no other encoding.")
        self.request = request
        self._limit = limit
        self._inflater = _Inflater() if encoding.endswith("gzip") else None
        self._first: bytes | None = None
        self.begun = False
        self.ended = False
        self.kept = 0
        self.error: RequestError | None = None
        if (request.content_length or 0) > limit:
            raise self._too_large()

    async def begin(self) -> None:
        """Wait for its first piece. Raises RequestError 400 or 408."""
        self._first = await self._received()
        self.kept = len(self._first)

    async def read(self, turn: Turn | None = None, kept: int = LARGE) -> bytes:
        """The whole body. Raises RequestError 400, 408 or 413.

        turn: awaited once, before more than `kept` bytes are kept. Whoever passes a body on does not say how long it
        is, so only what has come tells a large one, and a slow sender holds no turn before that.
        """
        body = bytearray()
        async for piece in self.pieces():
            if turn is not None and len(body) + len(piece) > kept:
                self.kept = len(body) + len(piece)
                await turn()
                turn = None
            body += piece
        return bytes(body)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body piece by piece, inflated. Raises RequestError 400, 408 or 413, kept in `error` too."""
        self.begun = True
        received = inflated = 0
        try:
            while came := await self._received():
                received += len(came)
                for piece in (came,) if self._inflater is None else self._inflater.pieces(came):
                    inflated += len(piece)
                    if max(received, inflated) > self._limit:
                        raise self._too_large()
                    yield piece
                if received > self._limit:
                    raise self._too_large()
            if self._inflater is not None:
                self._inflater.end()
            self.ended = True
        except RequestError as error:
            self.error = error
            raise

    async def _received(self) -> bytes:
        """The next bytes, empty at the end. The server that the request came to bounds the time (ports.py)."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            return await self.request.content.readany()
        except (web.RequestPayloadError, HTTPException, ValueError, ConnectionError):
            raise refusals.broken_off() from None

    def _too_large(self) -> RequestError:
        return RequestError(413, "PAYLOAD_TOO_LARGE", f"The body may have {self._limit} bytes at most, inflated.")


class _Inflater:
    """A gzip stream of one member or several, one after the other, MOST_MEMBERS at most."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._members = 1

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes hold, PIECE bytes at most at once. Raises RequestError 400."""
        try:
            while data:
                if self._member.eof:
                    self._members += 1
                    if self._members > MOST_MEMBERS:
                        raise RequestError(400, "BAD_REQUEST", f"A gzip body may have {MOST_MEMBERS} members at most.")
                    self._member = zlib.decompressobj(_GZIP)
                yield self._member.decompress(data, PIECE)
                data = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error:
            raise _broken() from None

    def end(self) -> None:
        """End the stream. Raises RequestError 400 if the last member is not whole."""
        if not self._member.eof:
            raise _broken()


def _broken() -> RequestError:
    return RequestError(400, "BAD_REQUEST", "The body is not a whole gzip stream.")


class LargeBodies:
    """Large bodies take turns, for each needs several times its size in memory. These are the turns of one process, for
    all endpoints that take such bodies. answers: what the process's large answers hold.
    """

    def __init__(self, answers: LargeAnswers) -> None:
        self._answers = answers
        self._limiter = ConcurrencyLimiter(AT_ONCE, OF_A_WORKSPACE)

    @asynccontextmanager
    async def of(self, workspace: Hashable, request: web.BaseRequest) -> AsyncIterator[Turn]:
        """What reading awaits once the body is a large one; its turn lasts until the block ends.

        workspace: whose turns these are.
        Raises Unavailable, from the turn, if none comes free in time, or the workspace has too many answers to take.
        """
        async with AsyncExitStack() as held:

            async def turn() -> None:
                try:
                    await self._limiter.take(held, (workspace,), request, LARGE)
                except TimeoutError:
                    raise Unavailable(_BUSY, 1) from None
                self._answers.require_room(workspace)

            yield turn
