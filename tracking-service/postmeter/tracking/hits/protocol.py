"""The protocol of the public port: tracking URLs are answered here, everything else by aiohttp.

A complete request head is looked at as bytes first. Only a GET or HEAD of a tracking URL without a body
stays; any other request takes its connection over to aiohttp, which serves the tracking URLs too, only
slower, so that a connection may mix both. Every head passes httptools and the limits below before that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.errors import ClickRefused, RequestError
from postmeter.shared.http import refusals, request_lines
from postmeter.shared.http.clients.client_address import join, plain
from postmeter.shared.http.refusals import HEADERS_LIMIT, LINE_KEPT, LINE_LIMIT
from postmeter.shared.links import hits
from postmeter.shared.links.hits import PREFETCH_HEADERS, USER_AGENT_BYTES, is_prefetch
from postmeter.shared.process import logs
from postmeter.tracking.durable.batch import Keyed, Kind, PendingBatch
from postmeter.tracking.hits import answers
from postmeter.tracking.hits.client import ADDRESS_HEADERS
from postmeter.tracking.hits.port import Port
from postmeter.tracking.hits.unread import END, Unread

_OPEN = OPEN_PATH.encode()
_CLICK = CLICK_PATH.encode()
_HOT = tuple(f"{method} {path}".encode() for method in hits.METHODS for path in (OPEN_PATH, CLICK_PATH))
_VOUCHED, _CLAIMED, _FORWARDED = ADDRESS_HEADERS
_MEANINGFUL = frozenset((b"host", *hits.HEADERS, *ADDRESS_HEADERS))
# More than this of unread requests behind a pending answer, and the client is not read from.
_BUFFER_LIMIT = 65536


def _nowhere(_: bytes) -> None:
    """Takes the answers of a client that has gone."""


class HitProtocol(asyncio.Protocol):
    """One connection. At most one batch holds its pending answers, so answers keep their order."""

    __slots__ = (
        "_agent", "_batch", "_begun", "_buffer", "_claimed", "_close", "_closing", "_complete", "_ended",
        "_forwarded", "_hosts", "_parser", "_paused", "_peer", "_port", "_prefetch", "_stalled",
        "_transport", "_url", "_vouched", "_write", "fresh", "since",
    )  # fmt: skip

    def __init__(self, port: Port) -> None:
        self._port = port
        self._batch: PendingBatch | None = None
        self._buffer = Unread()
        self._closing = self._paused = self._complete = self._prefetch = self._close = self._ended = False
        self._begun = self._stalled = False
        self._hosts = 0
        self._url = self._agent = self._vouched = self._claimed = self._forwarded = b""
        self._parser = httptools.HttpRequestParser(self)
        self._write: Callable[[bytes], None] = _nowhere
        self.fresh = True
        self.since = port.clock.now

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it where there are too many."""
        # uvloop's transports have all of asyncio.Transport, but do not inherit from it.
        self._transport = transport = cast("asyncio.Transport", transport)
        self._write = transport.write
        peer = transport.get_extra_info("peername")
        self._peer: str = plain(peer[0]) if isinstance(peer, tuple) else ""
        refused = self._port.admit(self, self._peer)
        if refused is not None:
            self._refuse(refused)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; what it has hit stays recorded."""
        self._write = _nowhere
        self._closing = True
        self._buffer.clear()
        # The parser holds this object, so that nobody else would free either soon.
        del self._parser
        self._port.release(self, self._peer)

    def eof_received(self) -> bool:
        """A client that has said all it wants to say still gets its answers; then the connection ends."""
        self._ended = True
        if self._batch is None and not self._buffer:
            return False
        if self._batch is not None:
            self._follow(self._batch)
        else:
            self.proceed()
        return True

    def pause_writing(self) -> None:
        """Read no more from a client that does not read."""
        self._stalled = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again, unless too much waits already."""
        self._stalled = False
        if not self._paused:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the usual case, exactly one request, is not copied."""
        if not self._buffer:
            alone = self._batch is None and data.find(END) == len(data) - 4 <= LINE_LIMIT
            ready = alone and not self._closing and not self._port.committer.full
            if ready and data.startswith(_HOT) and self._serve(data):
                self.since = self._port.clock.now
                self._begun = False
                return
        if not self._closing:
            if not self._begun:
                # The clock of the head begins once; of a connection's first one it began with the connection.
                self._begun = True
                if not self.fresh:
                    self.since = self._port.clock.now
            self._buffer += data
            self.proceed()

    # -- the committer's side

    def send(self, answer: bytes, batch: PendingBatch) -> None:
        """Write an answer whose hit is durable."""
        self._batch = None
        self._write(answer)

    def drop(self, answer: bytes, batch: PendingBatch, reason: str) -> None:
        """Write the answer of a hit that is given up, marked as such."""
        self.send(answers.marked(answer, reason), batch)

    def proceed(self) -> None:
        """Serve what is in the buffer, as far as it is complete and nothing has to be waited for."""
        while self._buffer and not self._closing:
            if self._must_wait():
                return
            try:
                head = self._buffer.head()
            except RequestError as error:
                self._refuse(error)
                break
            if head is None:
                break
            if head.startswith(_HOT) and self._serve(head):
                self._consume(len(head))
                continue
            if self._batch is not None:
                self._follow(self._batch)
                return
            self._hand_over(head)
            return
        if (self._closing or self._ended) and self._batch is None:
            self._transport.close()
        if self._paused and len(self._buffer) <= _BUFFER_LIMIT and not self._closing:
            self._paused = False
            if not self._stalled:
                self._transport.resume_reading()

    # -- the sweep's side

    def sweep(self, header_timeout: float, idle_timeout: float) -> None:
        """Close a connection that has been silent, or has dribbled its head, for too long."""
        if self._batch is not None or self._paused:
            return
        silent = self._port.clock.now - self.since
        if silent <= (header_timeout if self.fresh or self._begun else idle_timeout):
            return
        if self._buffer and not self._closing:
            self._refuse(refusals.too_late())
        else:
            # What the client has not read by now it never will.
            self._transport.abort()

    def shut(self) -> None:
        """Take no more requests; close when what is pending is answered."""
        self._closing = True
        self._buffer.clear()
        if self._batch is None:
            self._transport.close()
        else:
            self._batch.followers.append(self)

    # -- httptools' side

    def on_url(self, url: bytes) -> None:
        """The request's target."""
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; only a few mean anything here."""
        name = name.lower()
        if name not in _MEANINGFUL:
            return
        if name == b"user-agent":
            self._agent = value[:USER_AGENT_BYTES]
        elif name in PREFETCH_HEADERS:
            self._prefetch = self._prefetch or is_prefetch(value)
        elif name == b"host":
            self._hosts += 1
        elif name == _CLAIMED:
            self._claimed = join(self._claimed, value)
        elif name == _FORWARDED:
            self._forwarded = join(self._forwarded, value)
        elif name == _VOUCHED:
            self._vouched = value

    def on_message_complete(self) -> None:
        """The head was the whole request."""
        self._complete = True
        self._close = not self._parser.should_keep_alive() or self._port.closing

    # -- requests

    def _serve(self, head: bytes) -> bool:
        """Answer a request of a tracking URL; False if it has a body, which aiohttp then reads."""
        self._url = self._agent = self._vouched = self._claimed = self._forwarded = b""
        self._prefetch = self._complete = False
        self._hosts = 0
        parser = self._parser
        if head.count(b"\n") > HEADERS_LIMIT + 2:
            self._refuse(refusals.too_many())
            return True
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            # An upgrade that is not taken up is answered as if it had not been offered.
            self._parser, self._close = httptools.HttpRequestParser(self), self._port.closing
        except httptools.HttpParserError:
            return self._serve_anyway(head)
        if self._hosts != 1 and self._parser.get_http_version() != "1.0":
            self._refuse(refusals.no_host())
            return True
        if not self._complete:
            self._parser = httptools.HttpRequestParser(self)
            return False
        self.fresh = False
        try:
            self._visit(head[:1] == b"H", self._close)
        except Exception as fault:  # ours; whoever else waits for the same batch must not wait in vain
            logs.get().error("a hit was not understood", exc_info=fault)
            self._refuse(refusals.of_fault(500, fault))
        return True

    def _serve_anyway(self, head: bytes) -> bool:
        """`_serve` a head that the parser does not take, if its line is all that is wrong with it."""
        self._parser = httptools.HttpRequestParser(self)
        readable = request_lines.readable(head)
        if readable == head:
            self._refuse(refusals.malformed())
        elif readable.find(b"\r\n", 0, LINE_LIMIT + 2) < 0:
            self._refuse(refusals.line_too_long())
        else:
            return self._serve(readable)
        return True

    def _visit(self, is_head: bool, close: bool) -> None:
        port, url = self._port, self._url
        ip = self._peer
        if self._claimed or self._forwarded or self._vouched or port.clients.always:
            method = "HEAD" if is_head else "GET"
            ip = port.clients.address(ip, method, url.decode("latin-1"), self._vouched, self._claimed, self._forwarded)
        path, _, query = url.partition(b"?")
        record = None
        kind: Kind = "open"
        if path.startswith(_OPEN):
            record = port.policy.open(path[len(_OPEN) :], self._prefetch, self._agent, ip)
            answer = answers.PIXEL
            if record is None and hits.is_odd(path):
                answer = answers.no_such_path(path)
            elif is_head and record is not None:
                port.policy.drop("head")
                record = None
            elif not is_head and not close:
                self._answer(port.clock.pixel, record)
                return
        else:
            try:
                location, record = port.policy.click(
                    path[len(_CLICK) :], query, self._prefetch, self._agent, ip, is_head=is_head
                )
            except ClickRefused as refused:
                answer = answers.REFUSED_CLICKS[refused.status]
            else:
                if not is_head and not close:
                    self._answer(port.clock.redirect(location), record, "click")
                    return
                answer, kind = answers.redirect(location), "head" if is_head else "click"
        if close:
            self._closing = True
        self._answer(answer.wire(port.clock.date, head=is_head, close=close), record, kind)

    def _answer(self, answer: bytes, record: Keyed | None, kind: Kind = "open") -> None:
        """Answer at once what records nothing and has nothing pending before it; else with the batch."""
        committer = self._port.committer
        if record is None:
            if self._batch is None:
                self._write(answer)
                if self._closing:
                    self._transport.close()
                return
            self._batch.unrecorded.add(len(self._batch.answers))
            self._batch.answers.append((self, answer))
        else:
            batch = self._batch = committer.hits
            batch.records.append(record)
            batch.answers.append((self, answer))
            batch.counts[kind] += 1
            if kind != "open":
                batch.bytes += len(record[1]) + len(answer)
            committer.schedule()
        if self._closing and self._batch is not None:
            self._batch.followers.append(self)

    def _refuse(self, error: RequestError) -> None:
        """Answer with an error, after what is pending, and close."""
        line = bytes(self._buffer[:LINE_KEPT]) or b"GET " + self._url
        self._closing = True
        self._buffer.clear()
        self._port.metrics.refused.labels(str(error.status)).inc()
        self._answer(refusals.wire(line, error), None)

    # -- the buffer

    def _must_wait(self) -> bool:
        """Whether the next request has to wait for a batch; if so its answers call `proceed` again."""
        committer = self._port.committer
        if self._batch is None and not committer.full:
            return False
        if self._batch is committer.hits and not committer.full:
            return False
        self._follow(self._batch or committer.hits)
        return True

    def _follow(self, batch: PendingBatch) -> None:
        if not batch.followers or batch.followers[-1] is not self:
            batch.followers.append(self)
        if len(self._buffer) > _BUFFER_LIMIT and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _consume(self, size: int) -> None:
        self._buffer.take(size)
        self._begun = bool(self._buffer)
        self.since = self._port.clock.now

    def _hand_over(self, head: bytes) -> None:
        """Give the connection and all unread bytes to aiohttp, if the head is valid HTTP."""
        try:
            httptools.HttpRequestParser(self).feed_data(request_lines.readable(head))
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            self._refuse(refusals.malformed())
            return
        unread = bytes(self._buffer)
        self._buffer.clear()
        self._closing = True
        self._write = _nowhere
        if not self._transport.is_reading():
            self._transport.resume_reading()
        self._port.hand_over(self, self._peer, self._transport, unread, ended=self._ended, stalled=self._stalled)
