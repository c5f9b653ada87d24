"""A service's answer on its way to the caller: a small one in one piece, a large one at the caller's pace."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aiohttp import ClientError, ClientResponse, web

from postmeter.shared.errors import RequestError
from postmeter.shared.http.protocol import begin
from postmeter.shared.http.refusals import finish
from postmeter.shared.process import logs

_PASSED_BACK = (
    "Content-Type",
    "Content-Language",
    "Cache-Control",
    "ETag",
    "Vary",
    "Retry-After",
    "Allow",
    "Content-Disposition",
    "Location",
    "Content-Security-Policy",
    "Referrer-Policy",
    "WWW-Authenticate",
    "X-Accel-Buffering",
)
Until = Callable[[], Awaitable[bytes | None]]
WHOLE = 1 << 20
"""Answers up to this many bytes are passed back in one piece."""
PIECE = 64 * 1024
WRITE_SECONDS = 30.0
"""How long a caller may take for the next piece of a large answer; one who takes nothing is cut off. So the slowest
reader has about 2 KB/s, and holds a turn for no longer than the endpoint's time-out."""
UNSENT = 2 * PIECE
"""What the kernel keeps of it, unsent."""


async def pass_back(
    request: web.BaseRequest,
    answer: ClientResponse,
    request_id: str,
    counted: dict[str, str],
    until: Until | None = None,
) -> web.StreamResponse:
    """The caller's answer, with the headers `counted`. Raises RequestError 502 where the service's breaks off.

    until: asked after each piece of a large one, what it is to end with.
    """
    headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers} | counted
    length = answer.content_length
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = length  # who downloads a file sees how far it is, and notices when it breaks off
    finish(response, request_id)
    if answer.status == 304:
        same = web.Response(status=304, headers=headers)
        finish(same, request_id)
        return same
    if request.method == "HEAD":
        return response  # what follows the head would be taken for the next answer; the service's body stays unread
    try:
        if length is not None and length <= WHOLE:
            whole = web.Response(status=answer.status, body=await answer.read(), headers=headers)
            finish(whole, request_id)
            return whole
        await _stream(request, answer, response, until)
    except (ClientError, ConnectionError, TimeoutError) as error:
        path = request.raw_path.partition("?")[0]  # a download's query opens it for everybody
        # Callers may leave, as whoever closes a page with a live stream does: nothing is wrong.
        left = request.transport is None or request.transport.is_closing()
        tell = logs.get().debug if left else logs.get().warning
        tell("an answer broke off", path=path, request_id=request_id, error=logs.words(error))
        if not response.prepared:
            raise RequestError(502, "BAD_GATEWAY", "The service's answer broke off.") from None
        # The head has gone out: only a broken connection can tell the caller that the rest is missing.
        if request.transport is not None:
            request.transport.abort()
    return response


async def _stream(
    request: web.BaseRequest, answer: ClientResponse, response: web.StreamResponse, until: Until | None
) -> None:
    connection = request.get_extra_info("socket")
    if connection is not None:
        # Else the kernel takes megabytes at once, and for a slow reader nothing moves for longer than it may.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    piece = await answer.content.read(PIECE)
    await begin(request, response)
    while piece:
        await _taken(response.write(piece))
        if until is not None and (last := await until()) is not None:
            await _taken(response.write(last))
            response.force_close()
            break
        piece = await answer.content.read(PIECE)
    await _taken(response.write_eof())


async def _taken(writing: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await writing
    except TimeoutError:
        raise TimeoutError(f"the caller took nothing for {WRITE_SECONDS} s") from None
