"""A client that sends any bytes and reads what an HTTP server answers."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import httptools

ANSWER_SECONDS = 60.0
"""Who has not answered by then has stopped; how fast a machine is does not matter."""
CLOSED = 0
"""No answer: the server has closed the connection."""
SILENT = -1
"""No answer in time."""


class Answer(NamedTuple):
    """status: of HTTP, or CLOSED or SILENT."""

    status: int
    body: bytes


class _Reading:
    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body = bytearray()
        self.headed = self.complete = False

    def on_headers_complete(self) -> None:
        self.headed = True

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.complete = True


class Connection:
    """Keep-alive connections to one port, one at a time, by one user."""

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: bytes, data: bytes, broken: bool = False) -> Answer:
        """What is answered. broken: the server waits for bytes that never come; nothing comes behind these."""
        if broken:
            self.close()
        again = self._streams is not None
        answer = await self._ask(method, data, broken)
        if again and answer.status == CLOSED:  # it may have been closed before this request
            answer = await self._ask(method, data, broken)
        return answer

    async def _ask(self, method: bytes, data: bytes, broken: bool) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(*self._place)
                reader, writer = self._streams
                writer.write(data)
                if broken:
                    writer.write_eof()
                answer, keep = await self._read(reader, method == b"HEAD")
        except TimeoutError:
            answer, keep = Answer(SILENT, b""), False
        except (OSError, httptools.HttpParserError):
            answer, keep = Answer(CLOSED, b""), False
        if broken or not keep:
            self.close()
        return answer

    async def _read(self, reader: asyncio.StreamReader, head: bool) -> tuple[Answer, bool]:
        reading = _Reading()
        while not (reading.complete or (head and reading.headed)):
            piece = await reader.read(1 << 16)
            if not piece:
                status = reading.parser.get_status_code() if reading.headed else CLOSED
                return Answer(status, bytes(reading.body)), False
            while piece:
                reading.parser.feed_data(piece)
                piece = b""
                if reading.complete and reading.parser.get_status_code() < 200:
                    reading = _Reading()
        return Answer(reading.parser.get_status_code(), bytes(reading.body)), reading.parser.should_keep_alive()

    def close(self) -> None:
        """Leave the server."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
