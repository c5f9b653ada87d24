"""Reading request bodies: bounded in size after inflation, bounded in time, strict about JSON."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from postmeter.shared import json_refusals
from postmeter.shared.errors import RequestError

T = TypeVar("T")
Turn = Callable[[], Awaitable[None]]
LARGE = 256 << 10
TRAILING = "trailing characters"
# A JSON text up to the first escape that is half of a surrogate pair; msgspec may call that "truncated".
_HALF_OF_A_PAIR = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
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


def decode(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    """A JSON value of the decoder's type. Raises RequestError 400 that names the field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise json_refusals.refusal(body, decoder.type) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is not JSON: {reason(body, str(error))}") from None
    except RecursionError:
        raise RequestError(400, "INVALID_JSON", "The JSON is nested too deeply.") from None


def refuse_array(body: bytes, instead: str) -> None:
    """Raise RequestError 400 if the body is a JSON array; `instead` says what to send."""
    if _ARRAY.match(body):
        raise RequestError(400, "INVALID_FIELD", f"The body is a JSON array; {instead}.")


def reason(body: bytes | msgspec.Raw, message: str) -> str:
    """Why a body is not JSON: msgspec's `message`, or what it does not say."""
    if "truncated" in message or "surrogate" in message:
        half = _HALF_OF_A_PAIR.match(body)
        if half is not None:
            return f"{half.group(1).decode()} is half of a surrogate pair (byte {half.start(1)})"
        if not bytes(body).strip():
            return "it is empty"
    return message
