"""HTTP as hostile clients speak it (hostile-input.md 18-25): each case a clear answer in the right envelope."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from postmeter.gateway.routes import Routes
from tests.integration import misbehaving_clients
from tests.integration.running_gateway import bearer, client, gateway, service, speak
from tests.integration.running_query import workspaces
from tests.product import PATIENCE


@dataclass
class Door:
    url: str
    key: str
    arrived: list[str]


@pytest.fixture
async def door(shared_postgres_dsn: str) -> AsyncIterator[Door]:
    arrived: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        arrived.append(request.raw_path)
        await request.read()
        return web.json_response({})

    async with (
        service(answer) as upstream,
        workspaces(shared_postgres_dsn) as here,
        gateway(shared_postgres_dsn, query_url=upstream, tracking_url=upstream) as url,
    ):
        yield Door(url, await here.key(await here.workspace(), "admin", ("analytics", "track")), arrived)


def split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), headers, body


ANALYTICS = b"/api/v1/analytics"
HOST = b"Host: x\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET " + ANALYTICS + b"?x=" + b"a" * 65536 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "URI_TOO_LONG"),
        (b"GET " + ANALYTICS + b" HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 65536 + b"\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
        (b"GET " + ANALYTICS + b" HTTP/1.1\r\n" + HOST + b"a" * 65536 + b": 1\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
        (b"GET " + ANALYTICS + b" HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 1000 + b"\r\n", 431, "HEADERS_TOO_LARGE"),
        (
            b"POST " + ANALYTICS + b" HTTP/1.1\r\n" + HOST
            + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "BAD_REQUEST",
        ),
        (
            b"POST " + ANALYTICS + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            400,
            "BAD_REQUEST",
        ),
        (b"GET " + ANALYTICS + b" HTTP/1.1\r\n" + HOST + b"X: a\r\n folded\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET " + ANALYTICS + b" HTTP/1.1\r\n" + HOST + b"X : a\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET " + ANALYTICS + b" HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET " + ANALYTICS + b" HTTP/9.9\r\n" + HOST + b"\r\n", 400, "BAD_REQUEST"),
        (b"GET /api/v1/%2e%2e/analytics HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 404, "NOT_FOUND"),
        (b"GET /api/../etc HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 404, "NOT_FOUND"),
        (b"GET /api//v1/analytics HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 404, "NOT_FOUND"),
        (b"TRACE " + ANALYTICS + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 405, "METHOD_NOT_ALLOWED"),
        (b"OPTIONS " + ANALYTICS + b" HTTP/1.1\r\n" + HOST + b"Origin: http://e.example\r\nConnection: close\r\n\r\n",
         405, "METHOD_NOT_ALLOWED"),
    ],
)  # fmt: skip
async def test_each_is_refused_in_the_document_s_envelope(
    door: Door, request_bytes: bytes, status: int, code: str
) -> None:
    found, headers, body = split(await speak(door.url, request_bytes))
    answer = json.loads(body)
    assert (found, answer["error"]["code"]) == (status, code)
    assert answer["meta"]["request_id"] == headers["X-Request-Id"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers
    assert b"Traceback" not in body
    assert not door.arrived


async def test_the_native_envelope_of_a_refused_head(door: Door) -> None:
    request = b"POST /v1/query HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 65536 + b"\r\n\r\n"
    assert list(json.loads(split(await speak(door.url, request))[2])) == ["error"]


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\r\nnonsense\r\n\r\n", b"\0" * 99]
)
async def test_what_is_not_http_gets_a_400(door: Door, noise: bytes) -> None:
    assert b" 400 Bad Request\r\n" in await speak(door.url, noise)


async def test_a_smuggled_request_goes_nowhere(door: Door) -> None:
    auth = b"Host: x\r\nAuthorization: Bearer " + door.key.encode() + b"\r\n"
    inner = b"GET /api/v1/tracking/stats HTTP/1.1\r\n" + auth + b"\r\n"
    outer = b"POST /v1/events HTTP/1.1\r\n" + auth
    for framing in (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Content-Length: +0\r\n\r\n",
        b"Content-Length: 0x0\r\n\r\n",
    ):
        answer = await speak(door.url, outer + framing + inner)
        assert b" 400 Bad Request\r\n" in answer
        assert answer.count(b"Content-Length: ") == 1
    assert not door.arrived


async def test_pipelined_requests_are_answered_in_order(door: Door) -> None:
    head = f"GET /api/v1/analytics?n=%d HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.key}\r\n"
    requests = [(head + "X-Request-Id: r%d\r\n") % (n, n) for n in range(10)]
    requests[-1] += "Connection: close\r\n"
    answer = await speak(door.url, "".join(request + "\r\n" for request in requests).encode())
    assert [part.split(b"\r\n")[0] for part in answer.split(b"X-Request-Id: ")[1:]] == [
        f"r{n}".encode() for n in range(10)
    ]
    assert door.arrived == [f"/api/v1/analytics?n={n}" for n in range(10)]


async def test_a_request_that_begins_early_may_end_anywhere_later(door: Door) -> None:
    """Its first piece comes behind another request; the rest, once that is answered, may begin with a line's end."""
    second = b"OPTIONS /api/v1/analytics HTTP/1.1\r\nHost: x\r\n\r\n"
    host, _, port = door.url.removeprefix("http://").partition(":")
    for cut in range(1, len(second)):
        reader, writer = await asyncio.open_connection(host, int(port))
        statuses = []
        for piece in (b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n" + second[:cut], second[cut:]):
            writer.write(piece)
            async with asyncio.timeout(PATIENCE):
                statuses.append((await misbehaving_clients.answer(reader))[0])
        writer.close()
        assert statuses == [404, 405], second[:cut]


async def test_a_body_that_breaks_off_is_not_passed_on_as_whole(door: Door) -> None:
    host, _, port = door.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.key}\r\nContent-Length: 9\r\n\r\n{{"
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    async with client() as session, session.get(f"{door.url}/api/v1/analytics", headers=bearer(door.key)) as answer:
        assert answer.status == 200
    assert door.arrived == ["/api/v1/analytics"]


async def test_connections_are_bounded(shared_postgres_dsn: str) -> None:
    async with gateway(shared_postgres_dsn, max_connections=2) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        for _, writer in held:  # answered once, so that the gateway surely has them both
            writer.write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        for reader, _ in held:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
        assert (await speak(url, b"")).startswith(b"HTTP/1.1 503 ")
        for _, writer in held:
            writer.close()


async def test_a_fault_of_our_own_is_a_500_without_a_traceback(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: str) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Routes, "find", broken)
    status, headers, body = split(await speak(door.url, b"GET /api/v1/analytics HTTP/1.1\r\nHost: x\r\n\r\n"))
    answer = json.loads(body)
    assert (status, answer["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert answer["meta"]["request_id"] == headers["X-Request-Id"]
    assert b"secret" not in body
