"""The public HTTP server: bounded heads and connections, every refusal in the right envelope (ABUSE.md 18-21)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from postmeter.gateway import request_ids
from postmeter.shared import logs
from postmeter.shared.endpoints import document_of
from postmeter.shared.envelopes import error_body
from postmeter.shared.errors import RequestError

MAX_LINE = 32 * 1024
"""Bytes of a request line's target. A click on an 8 KB destination, percent-encoded, needs 25 KB."""
MAX_FIELD = 16 * 1024
"""Bytes of one header."""
MAX_HEADERS = 100
IDLE_SECONDS = 30.0
"""For a request's head to arrive, and between requests."""
LINGER_SECONDS = 2.0
READ_BUFFER = 64 * 1024
LINE_KEPT = 128
"""Bytes of a request line that tell whose envelope its refusal has."""
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server(web.Server):
    """aiohttp's low-level server, with at most `max_connections` clients at once."""

    def __init__(self, handler: Handler, max_connections: int) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            assert isinstance(request.protocol, _Protocol)
            request.protocol.understood()
            return await handler(request)

        super().__init__(
            handle,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=MAX_LINE,
            max_field_size=MAX_FIELD,
            max_headers=MAX_HEADERS,
            read_bufsize=READ_BUFFER,
        )
        self._max_connections = max_connections

    def __call__(self) -> RequestHandler:
        """The protocol of one new connection."""
        return _Protocol(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Keep the connection, or turn it away when there are too many."""
        super().connection_made(handler, transport)
        if len(self._connections) > self._max_connections:
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
            transport.close()


class _Protocol(RequestHandler):
    __slots__ = ("_line", "_next")

    def __init__(self, manager: web.Server, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._line = b""
        self._next = True

    def data_received(self, data: bytes) -> None:
        # The parser forgets the path of a request that it refuses; its answer's envelope depends on it. A head may
        # come in several pieces, and the last ones after it has been refused.
        if not self._request_in_progress:
            before = b"" if self._next else self._line
            self._line = (before + data[:LINE_KEPT])[:LINE_KEPT]
            self._next = False
        super().data_received(data)

    def understood(self) -> None:
        """The head was well-formed: what comes after this request is another one."""
        self._next = True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Whatever the server itself refuses, or what went wrong unexpectedly."""
        request_id = request_ids.new()
        error = _explain(status, exc)
        if error.status >= 500:
            logs.get().error("a request failed", request_id=request_id, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        response = refusal(*_called(self._line), error, request_id)
        response.force_close()
        return response


def refusal(method: str, path: str, error: RequestError, request_id: str) -> web.Response:
    """An error in the envelope of the document that `method` on `path` belongs to."""
    response = web.Response(
        body=error_body(document_of(path, method), error, request_id),
        status=error.status,
        headers=error.headers,
        content_type="application/json",
    )
    finish(response, request_id)
    return response


def finish(response: web.StreamResponse, request_id: str) -> None:
    """The headers that every answer has."""
    response.headers[request_ids.HEADER] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "postmeter"
    response.headers.setdefault("Cache-Control", "no-store")


def _explain(status: int, exc: BaseException | None) -> RequestError:
    if status >= 500:
        return RequestError(500, "INTERNAL_ERROR", "Something went wrong here; the log has it by the request id.")
    if isinstance(exc, LineTooLong):
        # The exception says which of the two limits was passed, and only by its value.
        if exc.args[1] == MAX_LINE:
            return RequestError(414, "URI_TOO_LONG", f"The URL may have {MAX_LINE} bytes at most.")
        return RequestError(431, "HEADERS_TOO_LARGE", f"A header may have {MAX_FIELD} bytes at most.")
    if "Too many headers" in str(exc):
        return RequestError(431, "HEADERS_TOO_LARGE", f"A request may have {MAX_HEADERS} headers at most.")
    return RequestError(400, "BAD_REQUEST", "This is not a well-formed HTTP/1.1 request.")


def _called(line: bytes) -> tuple[str, str]:
    """(method, path) of a request line."""
    method, path, *_ = [*line.decode("latin-1").split(" ", 2), "", ""]
    return method, path
