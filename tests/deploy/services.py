"""Services: an address each, behind it the pods that were ready a moment ago, as kube-proxy knows them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.deploy.manifests import Doc, selects

if TYPE_CHECKING:
    from tests.deploy.cluster import Cluster
    from tests.deploy.pod import Pod

PROPAGATION = 0.25
"""Seconds until the nodes know that a pod is ready, or on its way out."""
_RESET = struct.pack("ii", 1, 0)
CHUNK = 1 << 16


class Service:
    """`pods` is what the nodes know; who dials the service gets one of them, which may have gone by now.

    Nobody listens while there are none, as kube-proxy refuses connections then.
    """

    def __init__(self, cluster: Cluster, doc: Doc) -> None:
        self._cluster, self._doc = cluster, doc
        self.name: str = doc["metadata"]["name"]
        self.headless = doc["spec"].get("clusterIP") == "None"
        self.address = ""
        self.pods: list[Pod] = []
        self._coming: list[Pod] = []
        self._servers: list[asyncio.Server] = []
        self._taking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def ports(self) -> list[Doc]:
        found: list[Doc] = self._doc["spec"]["ports"]
        return found

    async def start(self) -> None:
        """Take an address; connections are taken when there is a pod for them."""
        if not self.headless:
            self.address = await self._cluster.network.add_service()

    async def _listen(self) -> None:
        for port in self.ports:
            serve = partial(self._serve, target=_target(port))
            self._servers.append(await asyncio.start_server(serve, self.address, port["port"], backlog=1024))

    def stop(self) -> None:
        """Take no more connections."""
        for server in self._servers:
            server.close()
        self._servers = []

    def refresh(self) -> None:
        """Tell the nodes, which learn it later, if something is other than before."""
        now = [
            pod
            for pod in self._cluster.pods
            if selects(self._doc["spec"].get("selector", {}), pod.labels) and not pod.terminating
            if pod.ready or self._doc["spec"].get("publishNotReadyAddresses")
        ]
        if now != self._coming:
            self._coming = now
            asyncio.get_running_loop().call_later(PROPAGATION, self._learn, now)

    def pick(self) -> Pod | None:
        """Where a new connection goes."""
        return random.choice(self.pods) if self.pods else None

    def target(self, port: int | str) -> int | str:
        """The pods' port behind one of the service's."""
        return next(_target(p) for p in self.ports if port in (p["port"], p.get("name")))

    def _learn(self, pods: list[Pod]) -> None:
        self.pods = pods
        self._task = asyncio.create_task(self._take())
        self._cluster.changed()

    async def _take(self) -> None:
        async with self._taking:
            if not self.pods:
                self.stop()
            elif self.address and not self._servers:
                await self._listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int | str) -> None:
        pod = self.pick()
        try:
            peer = writer.get_extra_info("peername")[0]
            if pod is None or not self._cluster.admitted(peer, pod.group, pod.port(target)):
                raise ConnectionRefusedError
            there = await asyncio.open_connection(pod.address, pod.port(target))
        except OSError:
            reset(writer)
            return
        await splice((reader, writer), there)


def _target(port: Doc) -> int | str:
    found: int | str = port["targetPort"] if port.get("targetPort") else port["port"]
    return found


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def splice(one: Ends, other: Ends) -> None:
    """Pass bytes both ways until both sides have ended; a break on one is a break on the other."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    try:
        await asyncio.gather(pump(one[0], other[1]), pump(other[0], one[1]))
    except OSError:
        reset(one[1])
        reset(other[1])
    finally:
        for writer in (one[1], other[1]):
            writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as one to a port that nobody listens on ends."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class StandIn:
    """A service whose only pod is a server of the test's, which listens on a Unix socket. Takes addresses admitted."""

    def __init__(self, path: str, address: str, port: int, admitted: Callable[[str], bool]) -> None:
        self._path, self._address, self._port, self._admitted = path, address, port, admitted
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Be there, or be there again."""
        self._server = await asyncio.start_server(self._serve, self._address, self._port, backlog=1024)

    def stop(self) -> None:
        """Be gone: connections break, new ones are refused."""
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self._admitted(writer.get_extra_info("peername")[0]):
                raise ConnectionRefusedError
            there = await asyncio.open_unix_connection(self._path)
        except OSError:
            reset(writer)
            return
        self._open.add(writer)
        try:
            await splice((reader, writer), there)
        finally:
            self._open.discard(writer)
