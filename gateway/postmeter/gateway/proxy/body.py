"""Request bodies: inflated here, bounded by their inflated size (hostile-input.md 27)."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

from aiohttp import web
from aiohttp.web_exceptions import HTTPException

from postmeter.shared.apis.endpoint import ANY_MEDIA
from postmeter.shared.apis.table import Endpoint
from postmeter.shared.errors import RequestError
from postmeter.shared.http import refusals

PIECE = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS


_UNSAID = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""What clients send that were told no media type: nothing, bytes, or curl's and urllib's default."""


def require_media(request: web.BaseRequest, endpoint: Endpoint) -> None:
    """Raises RequestError 415 where the caller says that the body is something else than the endpoint takes."""
    given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if endpoint.body is None or ANY_MEDIA in endpoint.body_media:
        return
    if given in _UNSAID or given in endpoint.body_media or given.endswith("+json"):
        return
    taken = " or ".join(endpoint.body_media[:2])
    raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", f"Send the body as {taken}, and say so in Content-Type.")


class Body:
    """The body of `request`, to be read once. `begun` and `ended` say how far that has come.

    error: what is wrong with it, found while it was passed on.
    """

    def __init__(self, request: web.BaseRequest, limit: int) -> None:
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", ""):
            raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", "The body may be plain or gzip, in no other encoding.")
        self.request = request
        self._limit = limit
        self._gzip = encoding.endswith("gzip")
        self._first: bytes | None = None
        self.begun = False
        self.ended = False
        self.error: RequestError | None = None
        if (request.content_length or 0) > limit:
            raise self._too_large()

    async def begin(self) -> None:
        """Wait for its first piece. Raises RequestError 400 or 408."""
        self._first = await self._piece()

    async def read(self) -> bytes:
        """All of it. Raises RequestError 400, 408 or 413."""
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        """It piece by piece, inflated. Raises RequestError 400, 408 or 413, kept in `error` too."""
        self.begun = True
        try:
            size = 0
            async for piece in self._inflated() if self._gzip else self._raw():
                size += len(piece)
                if size > self._limit:
                    raise self._too_large()
                yield piece
            self.ended = True
        except RequestError as error:
            self.error = error
            raise

    def _too_large(self) -> RequestError:
        return RequestError(413, "PAYLOAD_TOO_LARGE", f"The body may have {self._limit} bytes at most, inflated.")

    async def _raw(self) -> AsyncIterator[bytes]:
        read = 0
        piece = await self._piece() if self._first is None else self._first
        while piece:
            read += len(piece)
            if read > self._limit:
                raise self._too_large()
            yield piece
            piece = await self._piece()

    async def _piece(self) -> bytes:
        """The next one, empty at the end. The server that the request came to bounds the time (clocks.py)."""
        try:
            return await self.request.content.readany()
        except (web.RequestPayloadError, HTTPException, ValueError, ConnectionError):
            raise refusals.broken_off() from None

    async def _inflated(self) -> AsyncIterator[bytes]:
        inflater = zlib.decompressobj(_GZIP)
        broken = RequestError(400, "BAD_REQUEST", "The body is not a whole gzip stream.")
        try:
            async for piece in self._raw():
                rest = piece
                while rest:
                    if inflater.eof:  # gzip allows several members one after the other
                        inflater = zlib.decompressobj(_GZIP)
                    for inflated in _inflate(inflater, rest):
                        yield inflated
                    rest = inflater.unused_data
        except zlib.error:
            raise broken from None
        if not inflater.eof:
            raise broken


def _inflate(inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    yield inflater.decompress(data, PIECE)
    while inflater.unconsumed_tail:
        yield inflater.decompress(inflater.unconsumed_tail, PIECE)
