"""Clients that keep a connection busy, break off or stop: what they send, and all that they hear."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from typing import Any

from tests.integration.every_port import Port
from tests.product import PATIENCE

SECONDS = PATIENCE


DRIP_SECONDS = 0.05


Misdeed = Callable[[Port, StreamWriter], Coroutine[Any, Any, None]]


async def drip(writer: StreamWriter, bytes_: bytes) -> None:
    """One byte after the other, for as long as the server takes them."""
    while True:
        for byte in bytes_:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(DRIP_SECONDS)


def says(*parts: bytes, drips: bytes = b"", half_closes: bool = False) -> Misdeed:
    """A client that sends the parts, `get` and `post` being the port's own, and then goes on as told."""

    async def misbehave(port: Port, writer: StreamWriter) -> None:
        for part in parts:
            writer.write({b"get": port.get, b"post": port.post}.get(part, part))
        if half_closes:
            writer.write_eof()
        if drips:
            await drip(writer, drips)

    return misbehave


async def connect(port: Port) -> tuple[StreamReader, StreamWriter]:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        if not port.preface:
            return reader, writer
        try:
            writer.write(port.preface)
            await answer(reader)
            return reader, writer
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()  # on a busy machine a short clock may run out before


async def answer(reader: StreamReader) -> tuple[int, bytes]:
    """(status, body)."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return int(head.split()[1]), await reader.readexactly(length)


async def heard_of(port: Port, misdeed: Misdeed) -> bytes:
    """All that the server says until it closes the connection."""
    reader, writer = await connect(port)
    going_on = asyncio.create_task(misdeed(port, writer))
    heard = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            while piece := await reader.read(65536):
                heard += piece
    except ConnectionError:
        pass
    finally:
        going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=True)
        writer.close()
    return bytes(heard)
