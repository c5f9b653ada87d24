"""aiohttp's server as all our ports run it: bounded in heads, connections and time, every refusal in our envelope.

aiohttp's own answer to bad input has the caller's bytes, and a traceback in the log (hostile-input.md 18-21, 54).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.web_protocol import RequestHandler
from yarl import URL

from postmeter.shared.errors import RequestError
from postmeter.shared.http import arrivals, refusals, request_ids
from postmeter.shared.http.clients.connections import Connections
from postmeter.shared.http.ports import Clocks
from postmeter.shared.http.protocol import LINGER_SECONDS, ServerProtocol

LAST_REQUESTS = 0.1
"""Part of the time to stop in which a connection may still ask: its request may have been on the way before that."""
TICK_SECONDS = 1.0
READ_BUFFER = 64 * 1024
_NEVER = 1e9
_CONTINUE = "100-continue"
Handler = Callable[[Any], Awaitable[web.StreamResponse]]


class Server(web.Server):
    """Low-level server. `connections`: bounds of a public port. line, fields: bytes of a head; default: the public's.

    Whatever `handler` raises is answered: RequestError and aiohttp's own errors as they are, all else as a 500.
    """

    def __init__(
        self,
        handler: Handler,
        clocks: Clocks,
        connections: Connections | None = None,
        *,
        line: int = refusals.LINE_LIMIT,
        fields: int = refusals.FIELDS_LIMIT,
        request_factory: Any = None,
        handler_cancellation: bool = False,
    ) -> None:
        self._answer = handler
        self._factory = request_factory or self._make_request
        self.clocks = clocks
        self.bounds = connections
        self._fields = fields
        super().__init__(
            self._handle,
            request_factory=self._request,
            handler_cancellation=handler_cancellation,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=_NEVER,  # the clocks below take its place
            lingering_time=LINGER_SECONDS,
            max_line_size=line,
            max_field_size=fields,
            max_headers=refusals.HEADERS_LIMIT,
            read_bufsize=READ_BUFFER,
        )
        self._timer = self._loop.call_later(TICK_SECONDS, self._sweep)
        self.closing = False
        self._empty = asyncio.Event()

    def __call__(self) -> ServerProtocol:
        """The protocol of one new connection."""
        return ServerProtocol(self, loop=self._loop, **self._kwargs)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Count a connection out."""
        super().connection_lost(handler, exc)
        if not self.connections:
            self._empty.set()

    def pre_shutdown(self) -> None:
        """From now on each answer says that it is its connection's last."""
        self.closing = True

    async def shutdown(self, timeout: float | None = None) -> None:
        """Answer what is in flight or still on its way, then close all connections."""
        if self.connections and timeout:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout * LAST_REQUESTS)
        super().pre_shutdown()
        await super().shutdown(timeout)
        self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(TICK_SECONDS, self._sweep)
        now = self._loop.time()
        for connection in self.connections:
            cast("ServerProtocol", connection).sweep(now)

    def _request(self, message: Any, *rest: Any) -> web.BaseRequest:
        if not message.path.startswith("/"):
            path = refusals.origin_form(message.path)
            if path != message.path:
                message = message._replace(path=path, url=URL(path, encoded=True))
        made: web.BaseRequest = self._factory(message, *rest)
        return made

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        protocol = request.protocol
        assert isinstance(protocol, ServerProtocol)
        protocol.understood(request.content)
        timer: asyncio.TimerHandle | None = None
        if request.body_exists:
            late = RequestError(408, "REQUEST_TIMEOUT", "The body did not arrive in time.")
            timer = self._loop.call_later(self.clocks.body, arrivals.give_up, request, late)
            request.content.on_eof(timer.cancel)
        closes = True
        try:
            self._check(request)
            closes = False
            return await self._answer(request)
        except RequestError as refused:
            error = refused.with_traceback(None)  # else this frame and it hold each other, and a body of 16 MiB
        except web.HTTPException as answered:
            if answered.status < 400:
                raise
            error = refusals.of_exception(answered)
        finally:
            if timer is not None:
                timer.cancel()
        request_id = request_ids.of(request.headers.get(request_ids.HEADER))
        response = refusals.refusal(request.method, request.raw_path.partition("?")[0], error, request_id)
        if closes or (error.status in (400, 408, 413, 415) and request.body_exists):
            response.force_close()  # the rest of the body is not worth reading, or ends who knows where
        return response

    def _check(self, request: web.BaseRequest) -> None:
        if request.version not in (HttpVersion10, HttpVersion11):  # 2.0 has no request lines (RFC 9113, 3.4)
            raise refusals.malformed()
        if request.version == HttpVersion11 and len(request.headers.getall("Host", ())) != 1:
            raise refusals.no_host()
        codings = request.headers.getall("Transfer-Encoding", ())
        if codings and (request.version < HttpVersion11 or [*map(str.lower, codings)] != ["chunked"]):
            raise refusals.not_chunked()
        if sum(len(name) + len(value) + 4 for name, value in request.raw_headers) > self._fields:
            raise refusals.too_large()
        # aiohttp's router says itself what it does not expect, in the caller's bytes, which need not be text.
        if request.headers.get("Expect", _CONTINUE).lower() != _CONTINUE:
            raise refusals.not_expected()


def is_closing(request: web.BaseRequest) -> bool:
    """Whether the server that the request came to has begun to stop."""
    server = request.protocol._manager
    return server is None or cast("Server", server).closing


class AppRunner(web.AppRunner):
    """Runs an application on `Server`."""

    def __init__(
        self,
        app: web.Application,
        clocks: Clocks,
        connections: Connections | None = None,
        *,
        shutdown_timeout: float = 60.0,
        **limits: Any,
    ) -> None:
        app.on_response_prepare.append(_unnamed)
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._clocks = clocks
        self._bounds = connections
        self._limits = limits

    async def _make_server(self) -> Server:
        made = await super()._make_server()
        return Server(
            cast("Handler", made.request_handler),
            self._clocks,
            self._bounds,
            request_factory=made.request_factory,
            **self._limits,
        )


async def _unnamed(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = refusals.SERVER
