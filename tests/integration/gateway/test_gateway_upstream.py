"""API requests through the gateway: what passes, time-outs, services that are slow, dying or gone."""

import asyncio
import json
import socket
from contextlib import ExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from postmeter.gateway.proxy import answer, upstream
from postmeter.shared.http import large_answers
from tests.integration.gateway_calls import before, door
from tests.integration.running_gateway import Talk, echo, raw_service, service, speak
from tests.product import free_port


async def test_a_request_passes_with_its_query_and_without_what_is_private(shared_postgres_dsn: str) -> None:
    async with before(shared_postgres_dsn, echo) as at:
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


async def test_head_is_answered_like_get_without_a_body(shared_postgres_dsn: str) -> None:
    async with before(shared_postgres_dsn, echo) as at:
        request = f"HEAD /api/v1/analytics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\n"
        answer = await speak(at.url, f"{request}Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


async def test_a_service_s_errors_are_handed_back(shared_postgres_dsn: str) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": {"code": "X", "message": "m"}}, status=429, headers={"Retry-After": "7"})

    async with before(shared_postgres_dsn, refuse) as at:
        status, headers, body = await at.ask("GET", "/api/v1/analytics")
    assert (status, headers["Retry-After"], json.loads(body)["error"]["code"]) == (429, "7", "X")


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("path", ["/v1/query", "/v1/events"])
async def test_a_service_that_is_gone_is_a_502(shared_postgres_dsn: str, path: str) -> None:
    async with door(shared_postgres_dsn) as at:
        assert await at.error("GET", "/api/v1/analytics") == (502, "BAD_GATEWAY")
        assert await at.error("POST", path, data=b"{}") == (502, "BAD_GATEWAY")


@pytest.mark.usefixtures("short_timeouts", "impatient_endpoints")
async def test_a_slow_service_is_a_504_and_holds_up_no_other(shared_postgres_dsn: str) -> None:
    release = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with (
        service(slow) as stuck,
        service(echo) as fine,
        door(shared_postgres_dsn, query_url=stuck, tracking_url=fine, service_requests=8) as at,
    ):
        stuck_requests = [asyncio.create_task(at.error("GET", "/api/v1/analytics")) for _ in range(6)]
        assert (await at.ask("POST", "/v1/events", data=b"{}"))[0] == 200
        found = sorted(await asyncio.gather(*stuck_requests))
        release.set()
    assert found == [(503, "UNAVAILABLE")] * 4 + [(504, "GATEWAY_TIMEOUT")] * 2


async def dying(talk: Talk, dsn: str, method: str, path: str, **options: Any) -> tuple[int, str]:
    async with raw_service(talk) as url, door(dsn, query_url=url, tracking_url=url) as at:
        return await at.error(method, path, **options)


@pytest.mark.parametrize(
    ("method", "path", "attempts"),
    [("GET", "/api/v1/analytics", 2), ("POST", "/v1/query", 2), ("POST", "/v1/events", 1), ("POST", "/v1/messages", 1)],
)
async def test_only_what_changes_nothing_is_sent_again(
    shared_postgres_dsn: str, method: str, path: str, attempts: int
) -> None:
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(65536)
        if head and not head.startswith(b"OPTIONS "):  # asked for /readyz
            received.append(head)
        writer.close()

    options = {"data": b"{}"} if method == "POST" else {}
    assert await dying(talk, shared_postgres_dsn, method, path, **options) == (502, "BAD_GATEWAY")
    assert len(received) == attempts


async def test_the_log_of_what_is_no_answer_has_nothing_of_the_request(shared_postgres_dsn: str) -> None:
    """As where a service's URL is the port of something else."""

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 another protocol\r\n\r\n")

    async with raw_service(other) as url, door(shared_postgres_dsn, query_url=url) as at:
        with capture_logs() as lines:
            assert await at.error("GET", "/api/v1/analytics?x=private") == (502, "BAD_GATEWAY")
    (line,) = [one for one in lines if one["event"] == "query-service does not answer"]
    assert "another protocol" in line["error"]
    assert not [word for word in ("private", "Postmeter-") if word in line["error"]]


async def test_an_answer_that_breaks_off_never_looks_whole(shared_postgres_dsn: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
        writer.close()

    assert await dying(talk, shared_postgres_dsn, "GET", "/api/v1/analytics") == (502, "BAD_GATEWAY")

    async def long(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + bytes(1 << 18))
        writer.close()

    async with raw_service(long) as url, door(shared_postgres_dsn, query_url=url) as at:
        with pytest.raises(aiohttp.ClientError):
            await at.ask("GET", "/api/v1/analytics")


async def test_long_answers_are_passed_back_whole(shared_postgres_dsn: str) -> None:
    content = bytes(range(256)) * 20_000

    async def long(_: web.Request) -> web.Response:
        return web.Response(body=content)

    async with before(shared_postgres_dsn, long) as at:
        assert (await at.ask("GET", "/api/v1/analytics"))[2] == content


async def test_what_services_answers_hold_that_nobody_takes_is_bounded(
    shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 16 << 20
    asked = []
    monkeypatch.setattr(answer, "WHOLE", size)  # the kernel may take all of a smaller one
    monkeypatch.setattr(large_answers, "MOST", 40 << 20)

    async def large(request: web.Request) -> web.Response:
        asked.append(request.method)
        return web.Response(body=bytes(size))

    async with before(shared_postgres_dsn, large, service_requests=4) as at:
        host, _, port = at.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 10)
        writer.write(f"GET /api/v1/analytics HTTP/1.0\r\nAuthorization: Bearer {at.key}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        assert await at.error("GET", "/api/v1/analytics") == (503, "UNAVAILABLE")
        assert len((await at.ask("POST", "/v1/events", data=b"{}"))[2]) == size  # it has happened
        monkeypatch.setattr(large_answers, "MOST", 30 << 20)
        assert await at.error("POST", "/v1/events", data=b"{}") == (503, "UNAVAILABLE")  # it has not
        assert len(await reader.read()) == size
        writer.close()
        assert len((await at.ask("POST", "/v1/events", data=b"{}"))[2]) == size
    assert asked == ["GET", "GET", "POST", "POST"]


async def test_a_restarting_service_is_waited_for(shared_postgres_dsn: str) -> None:
    port = free_port()
    async with door(shared_postgres_dsn, query_url=f"http://127.0.0.1:{port}") as at:
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
    shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(upstream, "RESTART_SECONDS", 100.0)
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = silent.getsockname()
        # Its queue is full: whoever else dials hears nothing.
        stack.enter_context(socket.create_connection(address))
        async with door(shared_postgres_dsn, tracking_url=f"http://127.0.0.1:{address[1]}") as at:
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
