"""A real gateway before services that a test plays itself, on real sockets."""

import asyncio
import base64
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from postmeter.gateway.proxy.neighbour import OURS
from postmeter.gateway.service import serve
from postmeter.gateway.settings import GatewaySettings
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.auth.secret import Secret
from tests.integration.running_query import INTERNAL, PEPPER, listening
from tests.product import PATIENCE, free_port, reachable
from tests.roles import of_service

TOKEN_KEYS = Secret("1:" + base64.b64encode(bytes(range(32))).decode())
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


NOWHERE = "http://127.0.0.1:1"
NO_REDIS = "redis://127.0.0.1:1"
"""Where no test wants limits."""


@asynccontextmanager
async def service(handler: Handler) -> AsyncIterator[str]:
    """A service that answers every path with `handler`; what the gateway asks to know it, by itself (neighbour.py)."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "OPTIONS":
            raise web.HTTPNotFound if request.path == OURS else web.HTTPMethodNotAllowed("OPTIONS", ["GET"])
        return await handler(request)

    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{rest:.*}", answer)
    async with listening(web.AppRunner(app, access_log=None, shutdown_timeout=0.1)) as url:
        yield url


@asynccontextmanager
async def raw_service(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A service that speaks bytes."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def gateway(dsn: str, **settings: Any) -> AsyncIterator[str]:
    """The base URL of a running gateway; what is not given leads nowhere."""
    port, ops_port = free_port(), free_port()
    complete: dict[str, Any] = {
        "postgres_dsn": Secret(of_service(dsn, "gateway")),
        "internal_secret": INTERNAL,
        "key_pepper": PEPPER,
        "port": port,
        "ops_port": ops_port,
        "tracking_url": NOWHERE,
        "query_url": NOWHERE,
        "redis_url": Secret(NO_REDIS),
        "stop_timeout": 1.0,
        **settings,
    }
    stop = asyncio.Event()
    task = asyncio.create_task(serve(GatewaySettings(**complete), stop))
    url = f"http://127.0.0.1:{complete['port']}"
    try:
        await reachable(complete["ops_port"], task)
        yield url
    finally:
        stop.set()
        await task


async def speak(url: str, request: bytes, *, until_closed: bool = True) -> bytes:
    """Bytes out, bytes back."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        if until_closed:
            return await asyncio.wait_for(reader.read(), PATIENCE)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        return head
    finally:
        writer.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(auto_decompress=False)


class Line:
    """One connection, on which one request follows the other; a body that should not be there breaks the next."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, CIMultiDict[str], bytes]:
        """Status, headers and body; of an answer to HEAD, and of a 304, the head is all that there is."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
            assert first.startswith("HTTP/1.1 "), first
            found = CIMultiDict((name, value) for name, _, value in (line.partition(": ") for line in lines))
            status = int(first.split()[1])
            body = b"" if method == "HEAD" or status == 304 else await self._body(found)
        return status, found, body

    async def _body(self, headers: CIMultiDict[str]) -> bytes:
        if "Content-Length" in headers:
            return await self._reader.readexactly(int(headers["Content-Length"]))
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return body


@asynccontextmanager
async def line(url: str) -> AsyncIterator[Line]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


SCOPES = sorted({endpoint.scope for endpoint in ENDPOINTS if endpoint.scope})


def path_of(endpoint: Endpoint) -> str:
    return re.sub(r"\{\w+\}", "x", endpoint.path)


def gateway_settings(dsn: str, own_pepper: str) -> GatewaySettings:
    return GatewaySettings(
        postgres_dsn=Secret(of_service(dsn, "gateway")),
        redis_url=Secret(NO_REDIS),
        internal_secret=INTERNAL,
        key_pepper=Secret(own_pepper),
        tracking_url=NOWHERE,
        query_url=NOWHERE,
        ops_port=free_port(),
        port=free_port(),
    )


async def echo(request: web.Request) -> web.Response:
    """What arrived, as JSON."""
    body = await request.read()
    headers = {name.title(): value for name, value in request.headers.items()}
    told = {"method": request.method, "path": request.raw_path, "length": len(body), "crc": zlib.crc32(body)}
    return web.json_response(told | {"headers": headers}, headers={"Set-Cookie": "a=b", "X-Other": "1"})
