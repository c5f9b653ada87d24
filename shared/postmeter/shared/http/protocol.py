"""One connection of aiohttp as all our ports run it: its clocks, its bounds, and its refusals in our envelope.

aiohttp's own clock begins anew with each piece of a head, and ends no connection that is half-closed.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from postmeter.shared.errors import RequestError
from postmeter.shared.http import refusals, request_ids, request_lines
from postmeter.shared.http.clients.connections import Connections
from postmeter.shared.http.ports import Clocks
from postmeter.shared.process import logs

LINGER_SECONDS = 2.0
"""For the rest of a body that nobody reads, and for the last answer to leave."""
STALL_SECONDS = 120.0
"""For a client that takes nothing of its answer."""


class Serving(Protocol):
    """What a connection asks of its server, which is web.Server as well."""

    clocks: Clocks
    bounds: Connections | None
    closing: bool
    handler_cancellation: bool


class ServerProtocol(RequestHandler):
    """One connection. Its clocks are checked once a second; when its time has run out it is told so, and closed."""

    __slots__ = (
        "_answered", "_begun", "_body", "_closing_since", "_deadline", "_ended", "_fresh", "_held", "_line", "_next",
        "_peer", "_size", "_stalled_since", "_wire",
    )  # fmt: skip

    def __init__(self, server: web.Server, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._line = self._held = b""
        self._body: StreamReader | None = None
        self._next = self._fresh = True
        self._begun = self._ended = False
        self._size = self._answered = 0
        self._deadline = 0.0
        self._stalled_since: float | None = None
        self._closing_since: float | None = None

    @property
    def _busy(self) -> bool:
        """Whether a request has come that is not yet answered."""
        return self._request_count > self._answered

    @property
    def _server(self) -> Serving | None:
        return cast("Serving | None", self._manager)

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or turn it away where there are too many."""
        super().connection_made(transport)
        server = self._server
        assert server is not None
        self._wire = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer: str = peer[0] if isinstance(peer, tuple) else ""
        self._deadline = self._loop.time() + server.clocks.header
        refused = server.bounds.admit(self._peer) if server.bounds is not None else None
        if refused is not None:
            self._end(refused)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the client."""
        server = self._server
        if server is not None and server.bounds is not None:
            server.bounds.release(self._peer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes. A head that is too long or no HTTP is refused, whatever the parser makes of it."""
        server = self._server
        if server is None:
            return
        size, pieces = len(data), [data]
        lingers = self._body is not None and not self._body.is_eof()
        if not (self._busy or lingers):
            if not self._begun and data:
                self._begun = True
                if not self._fresh:
                    self._deadline = self._loop.time() + server.clocks.header
            # The parser forgets the path of a request that it refuses; its answer's envelope depends on it. A head may
            # come in several pieces, and the last ones after it has been refused.
            before = b"" if self._next else self._line
            self._line = (before + data[: refusals.LINE_KEPT]).lstrip(b"\r\n")[: refusals.LINE_KEPT]
            self._next = False
            if self._held or not before:
                pieces = self._with_whole_line(data)
        try:
            self._feed(pieces)
        except Exception as fault:  # the parser's own faults; the loop would log them with all that they hold
            logs.get().warning("the parser failed on what a connection sent", error=type(fault).__name__)
            self._end(refusals.of_fault(400, None))
            return
        if self._busy or lingers:
            self._size = 0
            return
        self._size += size
        if self._size > refusals.LINE_LIMIT + max(self.max_field_size, self.max_line_size):
            self._end(refusals.too_large())

    def _feed(self, pieces: list[bytes]) -> None:
        """Have the parser read them, each for itself: with what it refuses it forgets all that it was given at once,
        good requests too. Where more of these wait already than it takes, the rest is one piece.
        """
        while pieces:
            piece, *pieces = [b"".join(pieces)] if self._buffer_paused else pieces
            super().data_received(piece)
            if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
                return

    def _with_whole_line(self, data: bytes) -> list[bytes]:
        """Bytes with which a request begins, readable for the parser, in pieces; none while its line has not all come.

        What comes before the last answer has gone, or behind the rest of a body that nobody reads, is taken as it is:
        where a request begins there is not known here.
        """
        data = self._held + data
        line = data.lstrip(b"\r\n")  # empty lines may come before a request; they may also end a head that began early
        whole = b"\n" in line or len(line) > refusals.LINE_LIMIT or not line[:1].isupper()  # a method's letter
        self._held = b"" if whole else data
        if not whole:
            return [b""]
        first, *more = request_lines.requests(line)
        return [data[: len(data) - len(line)] + first, *more]

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own takes it, aiohttp's gives none
        """A client that closes its sending side still gets its answers, unless requests here end with their callers."""
        server = self._server
        if server is None or server.handler_cancellation or not self._busy:
            return False
        self._ended = True
        if not self._upgraded:  # else what is unread are further requests
            current = [] if self._current_request is None else [self._current_request.content]
            for content in [*current, *(content for _, content in self._messages)]:
                if not content.is_eof():
                    self._lingering_time = 0.0
                    content.set_exception(refusals.broken_off())
        return True

    def last(self) -> None:
        """The client had closed its way out before this protocol came."""
        if not self.eof_received():
            self.force_close()

    def pause_writing(self) -> None:
        """The client does not take its answer."""
        super().pause_writing()
        self._stalled_since = self._loop.time()

    def resume_writing(self) -> None:
        """It takes it again."""
        super().resume_writing()
        self._stalled_since = None

    # -- the server's side

    def sweep(self, now: float) -> None:
        """Close the connection if its time has run out."""
        if self._wire.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > LINGER_SECONDS:
                self._wire.abort()
        elif self._stalled_since is not None and now - self._stalled_since > STALL_SECONDS:
            self._wire.abort()
        elif now > self._deadline and self._waiter is not None and not self._waiter.done():
            if self._line and self._begun:
                self._end(refusals.too_late())
            else:
                self.force_close()

    def understood(self, body: StreamReader) -> None:
        """The head was well-formed: what comes after this request with its body is another one."""
        self._next = True
        self._body = body

    def conclude(self, response: web.StreamResponse) -> None:
        """The last headers of an answer that has not begun: whose server it is, and whether its connection ends."""
        response.headers["Server"] = refusals.SERVER
        if self._ended and self._request_count == self._answered + 1 and not self._message_tail:
            response.force_close()
        if self._server is not None and self._server.closing and not self._messages:
            response.force_close()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; then the clock of the next request begins."""
        if isinstance(resp, web.StreamResponse) and not resp.prepared:
            self.conclude(resp)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._begun = self._fresh = False
            self._answered += 1
            if self._ended and not self._busy:
                self.close()
            if (server := self._server) is not None:
                self._deadline = self._loop.time() + server.clocks.idle

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Whatever the server itself refuses, or what went wrong unexpectedly."""
        request_id = request_ids.of(request.headers.get(request_ids.HEADER))
        error = refusals.of_fault(status, exc)
        if error.status >= 500:
            logs.get().error("a request failed", request_id=request_id, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        response = refusals.refusal(*refusals.called(self._line), error, request_id)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """aiohttp's log of a connection that breaks: without what the client sent, and without a traceback.

        A connection that closes while the rest of an unwanted body is read is not worth a line.
        """
        if not self._wire.is_closing():
            logs.get().warning("a connection failed", error=type(kw.get("exc_info")).__name__)

    def _end(self, error: RequestError) -> None:
        """Say why, unless an answer is on its way, and close."""
        if not self._busy:
            self._wire.write(refusals.wire(self._line, error))
        self.force_close()


async def begin(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Begin an answer whose handler goes on meanwhile, with the headers that others get from `finish_response`."""
    if isinstance(request.protocol, ServerProtocol):
        request.protocol.conclude(response)
    await response.prepare(request)
