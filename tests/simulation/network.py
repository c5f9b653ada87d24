"""The network between processes and servers: it delays, cuts, and keeps what it likes.

What one connection carries arrives in order, as TCP has it; what several carry does not. A cut may come before the
other side has got anything, in the middle of it, or after the other side has done the work and before its answer is
back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

from tests.simulation.loop import CURRENT, OUTSIDE, Loop, Process
from tests.simulation.trace import Trace

USUAL = (0.0001, 0.002)
"""Seconds that something is on its way."""


def _arrived(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Server(Protocol):
    """What can be connected to. is_up: else connections are refused."""

    is_up: bool

    def accept(self, connection: Wire) -> Session: ...


class Session(Protocol):
    """The server's end of a connection."""

    def received(self, data: Any) -> None: ...

    def closed(self) -> None: ...


class Network:
    """cuts, stalls: how likely it is that one message meets its connection's end, or takes long."""

    def __init__(self, loop: Loop, chance: random.Random, trace: Trace) -> None:
        self.loop = loop
        self.chance = chance
        self.trace = trace
        self.cuts = self.stalls = 0.0
        self.servers: dict[str, Server] = {}
        self._wires: list[Wire] = []
        self._parted: dict[tuple[str, str], float] = {}

    def delay(self) -> float:
        if self.stalls and self.chance.random() < self.stalls:
            return self.chance.uniform(0.02, 0.9)
        return self.chance.uniform(*USUAL)

    def part(self, process: str, server: str, seconds: float) -> None:
        """Nothing passes between these two for so long; what is sent arrives later, or its sender has given up."""
        self._parted[process, server] = self.loop.now + seconds

    def calm(self) -> None:
        """No more faults from here on."""
        self.cuts = self.stalls = 0.0
        self._parted.clear()

    def arrival(self, process: str, server: str, after: float = 0.0) -> float:
        """When something that is sent now arrives, not before `after`."""
        begin = max(self.loop.now, self._parted.get((process, server), 0.0))
        return max(begin + self.delay(), after)

    async def wire(self, server: str, end: ClientEnd) -> Wire:
        """A connection of the process that asks. Raises ConnectionRefusedError."""
        process = CURRENT.get()
        assert process is not None
        future = self.loop.create_future()
        at = self.arrival(process.name, server)
        self.loop.call_at(at, _arrived, future, context=process.context)
        await future
        there = self.servers[server]
        if not there.is_up:
            raise ConnectionRefusedError(f"{server} is not there")
        wire = Wire(self, process, server, end)
        wire.session = there.accept(wire)
        self._wires = [one for one in self._wires if not one.is_dead]
        self._wires.append(wire)
        process.at_death.append(wire.client_died)
        return wire

    async def connect(self, factory: Callable[[], asyncio.BaseProtocol], host: str) -> Any:
        """`loop.create_connection`, for what speaks bytes."""
        protocol = factory()
        transport = Transport(protocol)
        transport.wire = await self.wire(host, transport)
        protocol.connection_made(transport)
        return transport, protocol

    def drop_all(self, server: str) -> None:
        """The server has gone: its connections end."""
        for wire in [one for one in self._wires if one.server == server]:
            wire.cut("the server has gone")


class ClientEnd(Protocol):
    """What the client's end of a wire is told."""

    def arrived(self, data: Any) -> None: ...

    def lost(self) -> None: ...


class Wire:
    """One connection. Data are bytes, or whatever both ends understand; only bytes are cut in the middle."""

    def __init__(self, network: Network, process: Process, server: str, end: ClientEnd) -> None:
        self.session: Session
        self.process = process
        self.server = server
        self.is_dead = False
        self.network = network
        self._end = end
        self._there = self._back = 0.0

    def send(self, data: Any) -> None:
        """From client to server."""
        if self.is_dead:
            return
        network, chance = self.network, self.network.chance
        if network.cuts and chance.random() < network.cuts:
            where = chance.choice(("before", "within", "after"))
            if where == "within" and isinstance(data, bytes):
                self._deliver(data[: chance.randrange(len(data))])
            elif where == "after":
                self._deliver(data)
            # By then the server may have done the work, and may have not been told yet that nobody waits for it.
            network.trace(self.process.name, f"connection to {self.server} cut {where} it has got this")
            self.is_dead = True
            network.loop.call_at(
                network.arrival(self.process.name, self.server), self._lose, context=self.process.context
            )
            late = network.delay() + chance.choice((0.0, 0.3, 1.0))
            network.loop.call_at(max(self._there, network.loop.now) + late, self._hang_up, context=OUTSIDE)
            return
        self._deliver(data)

    def answer(self, data: Any) -> None:
        """From server to client."""
        if self.is_dead:
            return
        self._back = self.network.arrival(self.process.name, self.server, self._back)
        self.network.loop.call_at(self._back, self._arrive, data, context=self.process.context)

    def close(self) -> None:
        """The client lets go: the server is told what is on its way, and then of the end."""
        if not self.is_dead:
            self.is_dead = True
            at = self.network.arrival(self.process.name, self.server, self._there)
            self.network.loop.call_at(at, self._hang_up, context=OUTSIDE)

    def cut(self, why: str) -> None:
        """Both ends are told that it has ended."""
        if not self.is_dead:
            self.is_dead = True
            self.network.trace(self.process.name, f"connection to {self.server} ends: {why}")
            loop = self.network.loop
            loop.call_at(loop.now + self.network.delay(), self._lose, context=self.process.context)
            self.session.closed()

    def client_died(self) -> None:
        """The client's kernel closes what the process had open."""
        self.close()

    def _deliver(self, data: Any) -> None:
        self._there = self.network.arrival(self.process.name, self.server, self._there)
        self.network.loop.call_at(self._there, self._reach, data, context=OUTSIDE)

    def _reach(self, data: Any) -> None:
        if self.network.servers[self.server].is_up:
            self.session.received(data)

    def _arrive(self, data: Any) -> None:
        if not self.is_dead:
            self._end.arrived(data)

    def _hang_up(self) -> None:
        self.session.closed()

    def _lose(self) -> None:
        self._end.lost()


class Transport(asyncio.Transport):
    """What a protocol of asyncio writes to."""

    wire: Wire

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._is_closing = False

    def write(self, data: Any) -> None:
        self.wire.send(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self.wire.close()
            self.wire.network.loop.call_soon(self._protocol.connection_lost, None)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_reading(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def arrived(self, data: bytes) -> None:
        if not self._is_closing:
            assert isinstance(self._protocol, asyncio.Protocol)
            self._protocol.data_received(data)

    def lost(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._protocol.connection_lost(ConnectionResetError("the connection was cut"))
