"""Reading request bodies: bounded in size after inflation, bounded in time, strict about JSON."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from postmeter.shared.errors import RequestError

Turn = Callable[[], Awaitable[None]]
LARGE = 256 << 10
_ARRAY = re.compile(rb"[ \t\r\n]*+\[")
_BOM = b"\xef\xbb\xbf"


def _too_large(limit: int) -> RequestError:
    return RequestError(413, "PAYLOAD_TOO_LARGE", f"A body takes {limit} bytes at most, after inflation.")


async def read(request: web.Request, limit: int, timeout: float, turn: Turn | None = None) -> bytes:
    """The body as text: `read_raw` without a byte order mark."""
    return (await read_raw(request, limit, timeout, turn)).removeprefix(_BOM)


async def read_raw(request: web.Request, limit: int, timeout: float, turn: Turn | None = None) -> bytes:
    """The body, inflated if it came with gzip, otherwise byte for byte. Raises RequestError 400, 408, 413, 415.

    turn: awaited once, before more than LARGE bytes are kept. The gateway does not say how long a body is, so only what
    has come tells a large one, and who sends slowly holds no turn before that.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise RequestError(415, "UNSUPPORTED_ENCODING", "Content-Encoding is gzip or identity.")
    inflate = zlib.decompressobj(31) if encoding == "gzip" else None
    body = bytearray()
    try:
        async with asyncio.timeout(timeout):
            async for chunk in request.content.iter_any():
                chunk = _add(body, chunk, inflate, limit if turn is None else LARGE)
                if turn is not None and len(body) > LARGE:
                    await turn()
                    turn = None
                    _add(body, chunk, inflate, limit)
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise RequestError(408, "REQUEST_TIMEOUT", "The body did not arrive in time.") from None
    except (zlib.error, web.HTTPException, ValueError, ConnectionError) as error:
        raise RequestError(400, "INVALID_BODY", f"The body cannot be read: {error}") from None
    if inflate is not None and not inflate.eof:
        raise RequestError(400, "INVALID_BODY", "The gzip body ends too early.")
    return bytes(body)


def _add(body: bytearray, chunk: bytes, inflate: Any, most: int) -> bytes:
    """Add to a body until it is longer than `most`; what is left of a compressed chunk."""
    if inflate is None:
        body += chunk
        return b""
    body += inflate.decompress(chunk, most + 1 - len(body))
    return bytes(inflate.unconsumed_tail)


def refuse_array(body: bytes, instead: str) -> None:
    """Raise RequestError 400 if the body is a JSON array; `instead` says what to send."""
    if _ARRAY.match(body):
        raise RequestError(400, "INVALID_FIELD", f"The body is a JSON array; {instead}.")
