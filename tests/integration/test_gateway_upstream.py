"""API requests through the gateway: bodies, time-outs, services that are slow, dying or gone."""

import asyncio
import contextlib
import gzip
import json
import re
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from yarl import URL

from postmeter.gateway.proxy import routes, upstream
from postmeter.shared.apis.table import ENDPOINTS, Endpoint, Service
from postmeter.shared.http import concurrency as turns
from postmeter.shared.http import server as http_server
from tests.integration.running_gateway import Handler, Talk, bearer, client, gateway, raw_service, service, speak
from tests.integration.running_query import world
from tests.product import free_port
from tests.waiting import until_so

SCOPES = ("analytics", "track", "privacy")


@dataclass
class Door:
    url: str
    key: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any, Any]:
        headers = bearer(self.key) | options.pop("headers", {})
        target = URL(self.url + path, encoded=True)
        async with self.session.request(method, target, headers=headers, **options) as answer:
            return answer.status, answer.headers, await answer.read()

    async def error(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        status, _, body = await self.ask(method, path, **options)
        answer = json.loads(body)
        return status, answer["error_type"] if "error_type" in answer else answer["error"]["code"]


@asynccontextmanager
async def door(dsn: str, **settings: Any) -> AsyncIterator[Door]:
    async with world(dsn) as here, gateway(dsn, **settings) as url, client() as session:
        yield Door(url, await here.key(await here.workspace(), "admin", SCOPES), session)


@asynccontextmanager
async def before(dsn: str, handler: Handler, **settings: Any) -> AsyncIterator[Door]:
    """A door before a service that answers everything with `handler`."""
    async with service(handler) as url, door(dsn, query_url=url, tracking_url=url, **settings) as opened:
        yield opened


async def echo(request: web.Request) -> web.Response:
    """What arrived, as JSON."""
    body = await request.read()
    headers = {name.title(): value for name, value in request.headers.items()}
    told = {"method": request.method, "path": request.raw_path, "length": len(body), "crc": zlib.crc32(body)}
    return web.json_response(told | {"headers": headers}, headers={"Set-Cookie": "a=b", "X-Other": "1"})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short time-outs, so that a test of them takes no seconds."""
    quick = tuple(msgspec.structs.replace(endpoint, timeout=0.3) for endpoint in ENDPOINTS)
    monkeypatch.setattr(routes.Routes.__init__, "__defaults__", (quick,))
    monkeypatch.setattr(upstream, "RESTART_SECONDS", 0.1)
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.1)


async def test_a_request_passes_with_its_query_and_without_what_is_private(postgres_dsn: str) -> None:
    async with before(postgres_dsn, echo) as at:
        path = "/api/v1/analytics?period=7d&x=%2F+%zz&y=a|b"
        status, headers, body = await at.ask("GET", path, headers={"Cookie": "c=d", "X-Forwarded-For": "6.6.6.6"})
        told = json.loads(body)
    assert (status, told["method"], told["path"]) == (200, "GET", path)
    assert "X-Forwarded-For" not in told["headers"]
    assert not {"Cookie", "Authorization"} & told["headers"].keys()
    assert headers["Content-Type"].startswith("application/json")
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
    assert not {"Set-Cookie", "X-Other", "Access-Control-Allow-Origin"} & headers.keys()
    assert headers["X-Request-Id"] == told["headers"]["X-Request-Id"]
    assert "aiohttp" not in headers["Server"]


async def test_head_is_answered_like_get_without_a_body(postgres_dsn: str) -> None:
    async with before(postgres_dsn, echo) as at:
        request = f"HEAD /api/v1/analytics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\n"
        answer = await speak(at.url, f"{request}Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


async def test_a_service_s_errors_are_handed_back(postgres_dsn: str) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": {"code": "X", "message": "m"}}, status=429, headers={"Retry-After": "7"})

    async with before(postgres_dsn, refuse) as at:
        status, headers, body = await at.ask("GET", "/api/v1/analytics")
    assert (status, headers["Retry-After"], json.loads(body)["error"]["code"]) == (429, "7", "X")


@pytest.mark.parametrize("path", ["/v1/query", "/v1/messages", "/v1/events"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_bodies_arrive_inflated_and_whole(postgres_dsn: str, path: str, packed: bool, chunked: bool) -> None:
    content = bytes(range(256)) * 800
    sent = gzip.compress(content[:1000]) + gzip.compress(content[1000:]) if packed else content

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), 1000):
            yield sent[start : start + 1000]

    headers = {"Content-Encoding": "gzip"} if packed else {}
    async with before(postgres_dsn, echo) as at:
        status, _, body = await at.ask("POST", path, data=pieces() if chunked else sent, headers=headers)
    told = json.loads(body)
    assert (status, told["length"], told["crc"]) == (200, len(content), zlib.crc32(content))
    assert "Content-Encoding" not in told["headers"]


LIMITED = [one for one in ENDPOINTS if one.max_body and one.scope and one.service is not Service.GATEWAY]


@pytest.mark.parametrize("endpoint", LIMITED, ids=lambda e: f"{e.method} {e.path}")
async def test_bodies_are_bounded_by_their_inflated_size(postgres_dsn: str, endpoint: Endpoint) -> None:
    method, path, limit = endpoint.method, re.sub(r"\{\w+\}", "x", endpoint.path), endpoint.max_body

    async def plain() -> AsyncIterator[bytes]:
        for _ in range(limit // 65536 + 1):
            yield bytes(65536)

    bomb = gzip.compress(bytes(limit + 1))
    assert len(bomb) < limit // 300
    packed = {"Content-Encoding": "gzip"}
    async with before(postgres_dsn, echo) as at:
        exact = await at.ask(method, path, data=gzip.compress(bytes(limit)), headers=packed)
        assert json.loads(exact[2])["length"] == limit
        assert await at.error(method, path, data=bomb, headers=packed) == (413, "PAYLOAD_TOO_LARGE")
        declared = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\n"
        refused = await speak(at.url, f"{declared}Content-Length: {limit + 1}\r\n\r\n".encode(), until_closed=False)
        assert refused.startswith(b"HTTP/1.1 413 ")
        # The connection may end while the rest of the body is still being sent.
        with contextlib.suppress(aiohttp.ClientConnectionError):
            assert await at.error(method, path, data=plain()) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"x", "br", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"x", "gzip, gzip", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"no gzip", "gzip", 400, "BAD_REQUEST"),
        (gzip.compress(b"cut off", mtime=0)[:-9], "gzip", 400, "BAD_REQUEST"),
        (gzip.compress(b"x", mtime=0) + b"rest", "gzip", 400, "BAD_REQUEST"),
        (b"", "gzip", 400, "BAD_REQUEST"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/query", "/v1/events"])
async def test_bodies_that_cannot_be_read(
    postgres_dsn: str, path: str, body: bytes, encoding: str, status: int, code: str
) -> None:
    async with before(postgres_dsn, echo) as at:
        assert await at.error("POST", path, data=body, headers={"Content-Encoding": encoding}) == (status, code)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("path", ["/v1/query", "/v1/events"])
async def test_a_service_that_is_gone_is_a_502(postgres_dsn: str, path: str) -> None:
    async with door(postgres_dsn) as at:
        assert await at.error("GET", "/api/v1/analytics") == (502, "BAD_GATEWAY")
        assert await at.error("POST", path, data=b"{}") == (502, "BAD_GATEWAY")


@pytest.mark.usefixtures("impatient")
async def test_a_slow_service_is_a_504_and_holds_up_no_other(postgres_dsn: str) -> None:
    release = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with (
        service(slow) as stuck,
        service(echo) as fine,
        door(postgres_dsn, query_url=stuck, tracking_url=fine, service_requests=8) as at,
    ):
        stuck_requests = [asyncio.create_task(at.error("GET", "/api/v1/analytics")) for _ in range(6)]
        assert (await at.ask("POST", "/v1/events", data=b"{}"))[0] == 200
        found = sorted(await asyncio.gather(*stuck_requests))
        release.set()
    assert found == [(503, "UNAVAILABLE")] * 4 + [(504, "GATEWAY_TIMEOUT")] * 2


@pytest.mark.usefixtures("impatient")
async def test_slow_bodies_of_one_workspace_hold_up_no_other(postgres_dsn: str) -> None:
    async with before(postgres_dsn, echo, service_requests=8) as at, world(postgres_dsn) as here:
        other = await here.key(await here.workspace(), "admin", SCOPES)
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {other}\r\nContent-Length: 9\r\n\r\n{{"
        host, _, port = at.url.removeprefix("http://").partition(":")
        dribblers = [await asyncio.open_connection(host, int(port)) for _ in range(12)]
        for _, writer in dribblers:
            writer.write(head.encode())
        # Ten of the twelve find their workspace's share taken, the other two are still sending.
        told = [asyncio.create_task(reader.readline()) for reader, _ in dribblers]
        refused: list[bytes] = []
        sending = set(told)
        while len(refused) < 10:
            done, sending = await asyncio.wait(sending, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            assert done
            refused += [task.result() for task in done]
        assert set(refused) == {b"HTTP/1.1 503 Service Unavailable\r\n"}
        assert (await at.ask("POST", "/v1/events", data=b"{}"))[0] == 200
        for task in sending:
            task.cancel()
        for _, writer in dribblers:
            writer.close()


async def begun_body(at: Door, key: str, path: str, size: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request that has sent one byte of its body."""
    host, _, port = at.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {size}\r\n\r\n "
    writer.write(head.encode())
    return reader, writer


async def test_the_slowest_body_gives_its_turn_to_who_waits(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workspaces hold all turns with bodies on their way; a third gets through, and who sends is not disturbed."""
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(turns, "TURN_SECONDS", 60.0)
    begun = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal begun
        begun += 1
        return await echo(request)

    async with before(postgres_dsn, take, service_requests=2) as at, world(postgres_dsn) as here:
        keys = [await here.key(await here.workspace(), "admin", SCOPES) for _ in range(2)]
        (slow, idle), (steady, sending) = [await begun_body(at, key, "/v1/events", 4 << 20) for key in keys]
        await until_so(lambda: begun == 2)
        third = asyncio.create_task(at.ask("POST", "/v1/events", data=b"{}"))
        sent = 1
        while not third.done():
            sending.write(b" " * 1000)
            sent += 1000
            await asyncio.sleep(0.01)
        assert (await third)[0] == 200
        assert await slow.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
        assert await slow.read() != b""  # to its end: the connection is closed
        sending.write(b" " * ((4 << 20) - sent))
        assert await steady.readline() == b"HTTP/1.1 200 OK\r\n"
        for writer in (idle, sending):
            writer.close()


async def test_who_waits_for_the_service_is_not_slow(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(turns, "TURN_SECONDS", 60.0)
    looked_at, go_on = 0, asyncio.Event()
    is_awaited = http_server.is_awaited

    def spied(content: aiohttp.StreamReader) -> bool:
        nonlocal looked_at
        looked_at += 1
        return is_awaited(content)

    async def take(request: web.Request) -> web.Response:
        await go_on.wait()
        return await echo(request)

    monkeypatch.setattr(http_server, "is_awaited", spied)
    async with before(postgres_dsn, take, service_requests=1) as at, world(postgres_dsn) as here:
        size = 15 << 20  # more than the kernel keeps on the way
        key = await here.key(await here.workspace(), "admin", SCOPES)
        reader, writer = await begun_body(at, key, "/v1/messages", size)
        writer.write(b" " * (size - 1))
        second = asyncio.create_task(at.ask("POST", "/v1/events", data=b"{}"))
        await until_so(lambda: looked_at > 0)
        go_on.set()
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert (await second)[0] == 200
        writer.close()


async def dying(talk: Talk, dsn: str, method: str, path: str, **options: Any) -> tuple[int, str]:
    async with raw_service(talk) as url, door(dsn, query_url=url, tracking_url=url) as at:
        return await at.error(method, path, **options)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("method", "path", "attempts"),
    [("GET", "/api/v1/analytics", 2), ("POST", "/v1/query", 2), ("POST", "/v1/events", 1), ("POST", "/v1/messages", 1)],
)
async def test_only_what_changes_nothing_is_sent_again(
    postgres_dsn: str, method: str, path: str, attempts: int
) -> None:
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(65536)
        if head:
            received.append(head)
        writer.close()

    options = {"data": b"{}"} if method == "POST" else {}
    assert await dying(talk, postgres_dsn, method, path, **options) == (502, "BAD_GATEWAY")
    assert len(received) == attempts


async def test_an_answer_that_breaks_off_never_looks_whole(postgres_dsn: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
        writer.close()

    assert await dying(talk, postgres_dsn, "GET", "/api/v1/analytics") == (502, "BAD_GATEWAY")

    async def long(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + bytes(1 << 18))
        writer.close()

    async with raw_service(long) as url, door(postgres_dsn, query_url=url) as at:
        with pytest.raises(aiohttp.ClientError):
            await at.ask("GET", "/api/v1/analytics")


async def test_long_answers_are_passed_back_whole(postgres_dsn: str) -> None:
    content = bytes(range(256)) * 20_000

    async def long(_: web.Request) -> web.Response:
        return web.Response(body=content)

    async with before(postgres_dsn, long) as at:
        assert (await at.ask("GET", "/api/v1/analytics"))[2] == content


async def test_a_restarting_service_is_waited_for(postgres_dsn: str) -> None:
    port = free_port()
    async with door(postgres_dsn, query_url=f"http://127.0.0.1:{port}") as at:
        asked = asyncio.create_task(at.ask("POST", "/v1/query", data=b"{}"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asked), 0.2)  # long enough to be refused at least once
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", echo)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        assert (await asked)[0] == 200
        await runner.cleanup()


async def test_a_node_that_says_nothing_is_not_asked_only_once(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(upstream, "RESTART_SECONDS", 100.0)
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = silent.getsockname()
        # Its queue is full: whoever else dials hears nothing.
        stack.enter_context(socket.create_connection(address))
        async with door(postgres_dsn, tracking_url=f"http://127.0.0.1:{address[1]}") as at:
            asked = asyncio.create_task(at.ask("POST", "/v1/events", data=b"{}"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(asked), 0.5)  # long enough to be tried more than once
            app = web.Application()
            app.router.add_route("*", "/{rest:.*}", echo)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.SockSite(runner, silent).start()
            assert (await asked)[0] == 200
            await runner.cleanup()


async def test_a_body_is_asked_for_only_when_it_is_welcome(postgres_dsn: str) -> None:
    async with before(postgres_dsn, echo) as at:
        head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
        welcome = await speak(at.url, f"{head}Authorization: Bearer {at.key}\r\n\r\n".encode(), until_closed=False)
        assert welcome == b"HTTP/1.1 100 Continue\r\n\r\n"
        refused = await speak(at.url, f"{head}\r\n".encode(), until_closed=False)
        assert refused.startswith(b"HTTP/1.1 401 ")
        strange = head.replace("100-continue", "200-ok")
        failed = await speak(at.url, f"{strange}Authorization: Bearer {at.key}\r\n\r\n".encode(), until_closed=False)
        assert failed.startswith(b"HTTP/1.1 417 ")


async def test_an_answer_before_the_end_of_the_body_reaches_the_caller(postgres_dsn: str) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": {"code": "EARLY", "message": "m"}}, status=422)

    async with before(postgres_dsn, refuse) as at:
        head = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\n"
        answer = await speak(at.url, f"{head}Content-Length: 9000000\r\n\r\n".encode() + bytes(100_000))
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b'"EARLY"' in answer
