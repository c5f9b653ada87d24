"""A client that knows exactly which of its requests were answered, refused before they were sent, or lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.deploy.cluster import Cluster

ANSWER_SECONDS = 60.0


class Unanswered(Exception):
    """A connection was accepted and a request sent on it, and the answer did not come or was not whole."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Caller:
    """One connection at a time to one service, kept if `keep`. A refused one is tried again, nothing else is.

    refused: how often nobody was there, or who was there did not listen. Somebody else would have had no answer.
    """

    def __init__(self, cluster: Cluster, service: str, *, keep: bool) -> None:
        self._cluster, self._service, self._keep = cluster, service, keep
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.refused = 0

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Raises Unanswered."""
        reader, writer = await self._connection()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._service}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [] if self._keep else ["Connection: close"]
        if method == "GET":
            lines.pop(2)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                answer = await _read(reader)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.close()
            raise Unanswered(f"{type(error).__name__}: {method} {path.split('/')[1]} of {self._service}") from None
        if not self._keep or answer.headers.get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        if self._ends is not None:
            self._ends[1].close()
            self._ends = None

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._ends is not None and self._ends[0].at_eof():
            self.close()
        service = self._cluster.services[self._service]
        port = service.target(service.ports[0]["port"])
        while self._ends is None:
            self.refused += not service.pods
            await self._cluster.until(f"an endpoint of {self._service}", lambda: bool(service.pods))
            pod = service.pick()
            assert pod is not None
            try:
                # Straight to the pod, as packets go that kube-proxy has rewritten.
                self._ends = await asyncio.open_connection(pod.address, pod.port(port))
            except OSError:
                self.refused += 1
                await self._cluster.news()
        return self._ends


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(head[0].split()[1]), headers, body)
