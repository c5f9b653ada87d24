"""Bodies that are on their way: how much of one lies here, and what keeps more of it from coming."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from aiohttp import StreamReader, web

from postmeter.shared.errors import RequestError


def give_up(request: web.BaseRequest, why: RequestError) -> None:
    """Wait no longer for a body: whoever reads it gets the error, and the rest is not waited for either."""
    request.protocol._lingering_time = 0.0
    request.content.set_exception(why)


def is_awaited(content: StreamReader) -> bool:
    """Whether more of a body has to come, and all that has come is read."""
    return not content.is_eof() and content.exception() is None and unread(content) == 0


def unread(content: StreamReader) -> int:
    """Bytes of a body that lie here and were not read."""
    return content._size


@contextlib.contextmanager
def paused(request: web.BaseRequest) -> Iterator[None]:
    """No more of its body is taken until the block ends."""
    protocol = request.protocol
    if request.content.is_eof():
        yield
        return
    protocol.pause_reading()
    try:
        yield
    finally:
        if protocol.transport is not None:
            protocol.resume_reading()
