"""A request that is on its way when a service is told to stop is answered, on every port: no update loses one."""

import asyncio
import socket
from functools import partial
from pathlib import Path

from tests.integration.every_port import every_port
from tests.product import PATIENCE, wait_for

CLOCKS = {"header_timeout": 300.0, "body_timeout": 300.0, "idle_timeout": 300.0}
"""So long that the services wait for the requests below however slow the machine is."""


async def answer(reader: asyncio.StreamReader) -> bytes:
    """One answer's head; its body is read too."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    await reader.readexactly(int(lines.get(b"content-length", b"0")))
    return head


def refuses(port: int) -> bool:
    """Whether nobody listens there any more."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


async def test_what_is_asked_after_the_signal_is_answered_and_told_so(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    stop = asyncio.Event()
    async with every_port(postgres_dsn, redis_url, tmp_path, clocks=CLOCKS, stop_timeout=600.0, stop=stop) as (
        ports,
        tracking,
    ):
        kept = []
        try:
            for port in (port for port in ports if "ops" not in port.name):
                reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
                kept.append((port, reader, writer))
                for ask in filter(None, (port.preface, port.get)):
                    writer.write(ask)
                    assert b"connection: close" not in (await answer(reader)).lower(), port.name
            stop.set()
            tracking.process.terminate()
            for port, reader, writer in kept:
                await asyncio.to_thread(wait_for, f"the end of {port.name}", partial(refuses, port.number))
                writer.write(port.get)
                last = (await answer(reader)).lower()
                assert last.startswith(b"http/1.1 200"), (port.name, last)
                assert b"connection: close" in last, port.name
                assert await reader.read() == b"", port.name
        finally:
            for _, _, writer in kept:
                writer.close()
        assert await asyncio.to_thread(tracking.process.wait, PATIENCE) == 0
