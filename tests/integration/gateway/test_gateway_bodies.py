"""Bodies of requests through the gateway: inflated, bounded, slow, and asked for only when they are welcome."""

import asyncio
import contextlib
import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from postmeter.gateway.proxy import upstream
from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.http import arrivals
from postmeter.shared.http import concurrency as turns
from postmeter.shared.storage import sources
from tests.integration.gateway_calls import SCOPES, Door, before
from tests.integration.running_gateway import bearer, echo, speak
from tests.integration.running_query import workspaces
from tests.product import PATIENCE
from tests.waiting import until_so


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at(shared_postgres_dsn: str) -> AsyncIterator[Door]:
    """One for all: to start it takes longer than what most of these tests ask."""
    async with before(shared_postgres_dsn, echo) as made:
        yield made


at_echo = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/v1/query", "/v1/messages", "/v1/events"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@at_echo
async def test_bodies_arrive_inflated_and_whole(at: Door, path: str, packed: bool, chunked: bool) -> None:
    content = bytes(range(256)) * 800
    sent = gzip.compress(content[:1000]) + gzip.compress(content[1000:]) if packed else content

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), 1000):
            yield sent[start : start + 1000]

    headers = {"Content-Encoding": "gzip"} if packed else {}
    status, _, body = await at.ask("POST", path, data=pieces() if chunked else sent, headers=headers)
    told = json.loads(body)
    assert (status, told["length"], told["crc"]) == (200, len(content), zlib.crc32(content))
    assert "Content-Encoding" not in told["headers"]


LIMITED = [one for one in ENDPOINTS if one.max_body and one.scope and one.service is not Service.GATEWAY]


@pytest.mark.parametrize("endpoint", LIMITED, ids=lambda e: f"{e.method} {e.path}")
@at_echo
async def test_bodies_are_bounded_by_their_inflated_size(at: Door, endpoint: Endpoint) -> None:
    method, path, limit = endpoint.method, re.sub(r"\{\w+\}", "x", endpoint.path), endpoint.max_body

    async def plain() -> AsyncIterator[bytes]:
        for _ in range(limit // 65536 + 1):
            yield bytes(65536)

    bomb = gzip.compress(bytes(limit + 1))
    assert len(bomb) < limit // 300
    packed = {"Content-Encoding": "gzip"}
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
        pytest.param(gzip.compress(b"", mtime=0) * 1001, "gzip", 400, "BAD_REQUEST", id="empty members"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/query", "/v1/events"])
@at_echo
async def test_bodies_that_cannot_be_read(
    at: Door, path: str, body: bytes, encoding: str, status: int, code: str
) -> None:
    assert await at.error("POST", path, data=body, headers={"Content-Encoding": encoding}) == (status, code)


@pytest.mark.usefixtures("short_timeouts")
async def test_slow_bodies_of_one_workspace_hold_up_no_other(shared_postgres_dsn: str) -> None:
    async with before(shared_postgres_dsn, echo, service_requests=8) as at, workspaces(shared_postgres_dsn) as here:
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
            done, sending = await asyncio.wait(sending, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
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


async def test_the_slowest_body_gives_its_turn_to_who_waits(
    shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workspaces hold all turns with bodies on their way; a third gets through, and who sends is not disturbed."""
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(turns, "TURN_SECONDS", 60.0)
    begun = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal begun
        begun += 1
        return await echo(request)

    async with before(shared_postgres_dsn, take, service_requests=2) as at, workspaces(shared_postgres_dsn) as here:
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


async def test_who_waits_for_the_service_is_not_slow(shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(turns, "TURN_SECONDS", 60.0)
    looked_at, has_begun, go_on = 0, asyncio.Event(), asyncio.Event()
    is_awaited = arrivals.is_awaited

    def spied(content: aiohttp.StreamReader) -> bool:
        nonlocal looked_at
        looked_at += 1
        return is_awaited(content)

    async def take(request: web.Request) -> web.Response:
        has_begun.set()
        await go_on.wait()
        return await echo(request)

    monkeypatch.setattr(arrivals, "is_awaited", spied)
    async with before(shared_postgres_dsn, take, service_requests=1) as at, workspaces(shared_postgres_dsn) as here:
        size = 15 << 20  # more than the kernel keeps on the way
        key = await here.key(await here.workspace(), "admin", SCOPES)
        reader, writer = await begun_body(at, key, "/v1/messages", size)
        writer.write(b" " * (size - 1))
        async with asyncio.timeout(PATIENCE):
            await has_begun.wait()
        second = asyncio.create_task(at.ask("POST", "/v1/events", data=b"{}"))
        await until_so(lambda: looked_at > 0)
        go_on.set()
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert (await second)[0] == 200
        writer.close()


async def test_of_a_body_that_waits_for_its_turn_only_the_beginning_is_taken(
    shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has the only turn, one waits, and for a third there is no room; bodies that come whole wait as ever."""
    monkeypatch.setattr(turns, "TURN_SECONDS", 60.0)
    begins, size = upstream.KEPT + 600, 200_000
    monkeypatch.setattr(turns, "WAITING_BYTES", turns.WAITING_SHARE * (turns.AT_ONCE + begins))
    async with before(shared_postgres_dsn, echo, service_requests=1) as at:
        small = asyncio.create_task(at.ask("POST", "/v1/query", data=bytes(upstream.KEPT)))
        assert (await small)[0] == 200
        bodies = [await begun_body(at, at.key, "/v1/query", size) for _ in range(3)]
        for _, writer in bodies:
            writer.write(bytes(begins - 1))
        told = {asyncio.create_task(reader.readline()): (reader, writer) for reader, writer in bodies}
        (refused,), others = await asyncio.wait(told, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        assert await refused == b"HTTP/1.1 503 Service Unavailable\r\n"
        small = asyncio.create_task(at.ask("POST", "/v1/query", data=bytes(upstream.KEPT)))
        for other in others:
            told[other][1].write(bytes(size - begins))
        assert [await other for other in others] == [b"HTTP/1.1 200 OK\r\n"] * 2
        assert (await small)[0] == 200
        for _, writer in bodies:
            writer.close()


async def test_who_knows_a_webhook_s_url_holds_up_nobody_else(
    shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, take = 0, turns.ConcurrencyLimiter.take

    async def counted(limiter: turns.ConcurrencyLimiter, *given: Any) -> None:
        nonlocal asked
        asked += 1
        await take(limiter, *given)

    monkeypatch.setattr(turns.ConcurrencyLimiter, "take", counted)
    monkeypatch.setattr(turns, "TURN_SECONDS", 60.0)
    monkeypatch.setattr(turns, "WAITING_BYTES", 4 * turns.AT_ONCE)
    async with before(shared_postgres_dsn, echo, service_requests=8) as at, workspaces(shared_postgres_dsn) as here:
        workspace = await here.workspace()
        key = await here.key(workspace, "admin", SCOPES)
        one, other = [sources.new_id() for _ in range(2)]
        for source in (one, other):
            await here.pool.execute(
                "INSERT INTO webhook_source (id, workspace, provider, name, secret) VALUES ($1, $2, 'resend', '', '')",
                source,
                workspace,
            )
        flood = [await begun_body(at, "", f"/v1/webhooks/resend/{one}", 1 << 20) for _ in range(5)]
        await until_so(lambda: asked == len(flood))
        for path in ("/v1/events", "/v1/messages", f"/v1/webhooks/resend/{other}"):
            assert (await at.ask("POST", path, data=b"{}", headers=bearer(key)))[0] == 200
        own = [await begun_body(at, key, "/v1/messages", 100_000) for _ in range(3)]
        await until_so(lambda: asked == len(flood) + 3 + len(own))
        for _, writer in own:
            writer.write(bytes(99_999))
        assert [await reader.readline() for reader, _ in own] == [b"HTTP/1.1 200 OK\r\n"] * 3
        for _, writer in flood + own:
            writer.close()


async def test_a_body_is_asked_for_only_when_it_is_welcome(shared_postgres_dsn: str) -> None:
    async with before(shared_postgres_dsn, echo) as at:
        head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n"
        welcome = await speak(at.url, f"{head}Authorization: Bearer {at.key}\r\n\r\n".encode(), until_closed=False)
        assert welcome == b"HTTP/1.1 100 Continue\r\n\r\n"
        refused = await speak(at.url, f"{head}\r\n".encode(), until_closed=False)
        assert refused.startswith(b"HTTP/1.1 401 ")
        older = head.replace("HTTP/1.1", "HTTP/1.0")  # it would take that for the answer
        told = await speak(at.url, f"{older}Authorization: Bearer {at.key}\r\n\r\n{{}}".encode())
        assert told.startswith(b"HTTP/1.0 200 "), told
        strange = head.replace("100-Continue", "200-ok")
        failed = await speak(at.url, f"{strange}Authorization: Bearer {at.key}\r\n\r\n".encode(), until_closed=False)
        assert failed.startswith(b"HTTP/1.1 417 ")


async def test_an_answer_before_the_end_of_the_body_reaches_the_caller(shared_postgres_dsn: str) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": {"code": "EARLY", "message": "m"}}, status=422)

    async with before(shared_postgres_dsn, refuse) as at:
        head = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\n"
        answer = await speak(at.url, f"{head}Content-Length: 9000000\r\n\r\n".encode() + bytes(100_000))
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b'"EARLY"' in answer
