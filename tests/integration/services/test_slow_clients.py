"""Clients that are slow, silent or half gone (hostile-input.md 20, 54), on every port: closed, others are served."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import Histogram

from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.auth.sealed import Seals
from postmeter.shared.errors import Unavailable
from postmeter.shared.http import bodies, concurrency, large_answers
from postmeter.shared.http.answerer import Answerer, Asked
from postmeter.shared.http.large_answers import LargeAnswers
from postmeter.shared.http.ports import Clocks
from postmeter.shared.http.server import AppRunner
from tests import sealing
from tests.integration.every_port import Port, every_port
from tests.integration.misbehaving_clients import DRIP_SECONDS, SECONDS, Misdeed, answer, connect, heard_of, says
from tests.integration.running_query import INTERNAL, listening, sealed
from tests.product import wait_for

SHORT = {"header_timeout": 1.5, "body_timeout": 1.5, "idle_timeout": 1.5}
"""Longer than the second after which clocks are looked at, else one that began anew would not be seen."""
HALF_A_HEAD = b"GET /api/v1/track/open/x HTTP/1.1\r\nHost: t\r\nX: "
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
LENGTH = b"Content-Length: 1000\r\n\r\n"


MISDEEDS: dict[str, Misdeed] = {
    "says nothing": says(),
    "drips empty lines": says(drips=b"\r\n"),
    "drips a head": says(b"GET ", drips=b"a"),
    "drips a header": says(HALF_A_HEAD, drips=b"x"),
    "drips headers": says(HALF_A_HEAD, drips=b"x\r\nY: y"),
    "stops in a head": says(HALF_A_HEAD),
    "never begins its body": says(b"post", LENGTH),
    "drips its body": says(b"post", LENGTH, drips=b"["),
    "drips a chunk's size": says(b"post", b"Transfer-Encoding: chunked\r\n\r\n", drips=b"0"),
    "drips chunks": says(b"post", b"Transfer-Encoding: chunked\r\n\r\n", drips=b"1\r\n[\r\n"),
    "half-closes at once": says(half_closes=True),
    "half-closes in a head": says(HALF_A_HEAD, half_closes=True),
    "half-closes in a body": says(b"post", LENGTH, b"[", half_closes=True),
    "half-closes after a request": says(b"get", half_closes=True),
    "half-closes after two": says(b"get", b"get", half_closes=True),
    "half-closes after another path": says(b"GET /no HTTP/1.1\r\nHost: t\r\n\r\n", half_closes=True),
    "half-closes in the second": says(b"get", HALF_A_HEAD, half_closes=True),
    "stays idle": says(b"get"),
    "stays idle, with empty lines": says(b"get", drips=b"\r\n"),
    "stops in the second": says(b"get", HALF_A_HEAD),
    "drips the second": says(b"get", HALF_A_HEAD, drips=b"x"),
    "offers an upgrade and half-closes": says(
        b"GET /no HTTP/1.1\r\nHost: t\r\n" + UPGRADE + b"\r\n", b"get", half_closes=True
    ),
    "offers an upgrade with a body": says(b"post", UPGRADE + LENGTH, drips=b"["),
    "offers an upgrade and drips": says(b"GET /no HTTP/1.1\r\nHost: t\r\n" + UPGRADE + b"\r\n", drips=b"\0"),
    "offers upgrades, pipelined": says(*[HALF_A_HEAD + b"\r\n" + UPGRADE + b"\r\n"] * 40, half_closes=True),
    "offers upgrades elsewhere, pipelined": says(
        *[b"GET /no HTTP/1.1\r\nHost: t\r\n" + UPGRADE + b"\r\n"] * 40, half_closes=True
    ),
}
LATE_HEADS = ("stops in a head", "drips a header", "drips headers", "drips a head")
LATE_BODIES = ("never begins its body", "drips its body", "drips a chunk's size", "drips chunks")


async def served(port: Port, until: asyncio.Event) -> int:
    """How often somebody else was served meanwhile."""
    count = 0
    while not (count and until.is_set()):
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await connect(port)
                writer.write(port.get)
                assert (await answer(reader))[0] == 200
            writer.close()
            count += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # on a busy machine the clock may run out for anybody
        await asyncio.sleep(DRIP_SECONDS)
    return count


async def test_every_misbehaving_client_is_closed_on_every_port_and_others_are_served(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    async with every_port(postgres_dsn, redis_url, tmp_path, clocks=SHORT) as (ports, _):
        over = asyncio.Event()
        others = [asyncio.create_task(served(port, over)) for port in ports]
        cases = [(port, name) for port in ports for name in MISDEEDS]

        async def tried(port: Port, name: str) -> bytes:
            try:
                return await heard_of(port, MISDEEDS[name])
            except TimeoutError:
                pytest.fail(f"{port.name} does not close a client that {name}")

        results = await asyncio.gather(*(tried(*case) for case in cases), return_exceptions=True)
        over.set()
        assert min(await asyncio.gather(*others)) > 0
        failures = [str(result) for result in results if isinstance(result, BaseException)]
        assert not failures, failures
        for (port, name), heard in zip(cases, results, strict=True):
            assert isinstance(heard, bytes)
            if name in LATE_HEADS or (name in LATE_BODIES and port.reads):
                assert heard.startswith(b"HTTP/1.1 408 "), (port.name, name, heard)
                assert "REQUEST_TIMEOUT" in json.dumps(json.loads(heard.partition(b"\r\n\r\n")[2]))


async def test_a_client_that_has_said_everything_gets_its_answers_where_hits_are_taken(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    async with every_port(postgres_dsn, redis_url, tmp_path) as (ports, _):
        for port in ports[:1]:
            for misdeed, statuses in (
                ("half-closes after a request", [b"200"]),
                ("half-closes after two", [b"200"] * 2),
                ("half-closes after another path", [b"404"]),
                ("offers upgrades, pipelined", [b"200"] * 40),
            ):
                heard = await heard_of(port, MISDEEDS[misdeed])
                assert [part[:3] for part in heard.split(b"HTTP/1.1 ")[1:]] == statuses, (port.name, misdeed)


async def test_a_request_has_one_host(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    async with every_port(postgres_dsn, redis_url, tmp_path) as (ports, _):
        for port in ports:
            for hosts in (b"", b"Host: a\r\nHost: b\r\n"):
                heard = await heard_of(port, says(port.get.replace(b"Host: t\r\n", hosts)))
                assert b" 400 " in heard.partition(b"\r\n")[0], (port.name, hosts, heard)
            old = await heard_of(port, says(port.get.replace(b"Host: t\r\n", b"").replace(b"HTTP/1.1", b"HTTP/1.0")))
            assert b" 200 OK" in old.partition(b"\r\n")[0], (port.name, old)


async def test_one_address_has_its_bound_on_both_public_ports(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    """The same rule on both; a connection that is handed over counts once, and the place comes free."""
    free: dict[str, Any] = {"client_connections": 3, "unbounded_clients": "192.0.2.0/24", "max_connections": 50}
    async with every_port(postgres_dsn, redis_url, tmp_path, **free) as (ports, tracking):
        for port in ports[:3]:
            for _ in range(2):
                held = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(3)]
                for reader, writer in held:
                    writer.write(port.preface or port.get)
                    await answer(reader)
                reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
                status, body = await answer(reader)
                assert (status, b"TOO_MANY_CONNECTIONS" in body) == (429, True), port.name
                assert await reader.read() == b""
                for _, one in [*held, (reader, writer)]:
                    one.close()
                await asyncio.to_thread(wait_for, "the places", lambda port=port: is_free(port))
        assert tracking.metric("postmeter_connections_refused_total", '{bound="client"}') >= 4


def is_free(port: Port) -> bool:
    """Whether a connection is served."""
    with socket.create_connection(("127.0.0.1", port.number)) as connection:
        connection.sendall(port.get)
        return connection.recv(12) == b"HTTP/1.1 200"


async def test_what_answers_hold_that_nobody_takes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    size, answers = 16 << 20, LargeAnswers()
    monkeypatch.setattr(large_answers, "MOST", 40 << 20)
    kept = bytes(size)

    async def answered(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=kept if "kept" in request.query else bytes(size))
        try:
            await answers.send(request.path, request, response, safe="safe" in request.query)
        except Unavailable:
            return web.Response(status=503)
        return response

    app = web.Application()
    app.router.add_get("/{whose}", answered)
    runner = AppRunner(app, Clocks(), shutdown_timeout=0.1)
    async with listening(runner) as url, aiohttp.ClientSession() as session:
        reader, writer = await slow(url, b"GET /a?safe&kept HTTP/1.0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        statuses = {}
        for asked in ("a?safe", "a?safe&kept", "a", "b?safe"):
            async with session.get(f"{url}/{asked}") as answer:
                statuses[asked] = answer.status
                assert answer.status == 503 or len(await answer.read()) == size
        # What two are sent lies in memory once. What has changed something is answered in any case; of two callers
        # neither waits for the other.
        assert statuses == {"a?safe": 503, "a?safe&kept": 200, "a": 200, "b?safe": 200}
        assert len(await reader.read()) == size
        writer.close()
        async with session.get(f"{url}/a?safe") as answer:
            assert len(await answer.read()) == size
            assert "Connection" not in answer.headers
        assert runner.server is not None
        runner.server.pre_shutdown()
        async with session.get(f"{url}/a?safe") as answer:
            assert len(await answer.read()) == size
            assert answer.headers["Connection"] == "close"


async def test_slow_readers_of_two_workspaces_hold_no_turns_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reads two answers slowly, which is all turns of a process; it gets no third, and nothing is done for it."""
    monkeypatch.setattr(large_answers, "MOST", 50 << 20)
    monkeypatch.setattr(concurrency, "TURN_SECONDS", 0.5)
    body = bytes(2 * bodies.LARGE)
    done: list[int] = []

    async def handler(given: Asked) -> web.StreamResponse:
        assert len(await given.read()) == len(body)
        done.append(given.principal.workspace)
        return web.Response(body=bytes(16 << 20))

    row = next(one for one in ENDPOINTS if (one.method, one.path) == ("POST", "/v1/messages"))
    requests = Histogram("seconds", "Of requests.", ["endpoint", "status"], registry=None)
    app = web.Application()
    app.add_routes(Answerer(Seals(INTERNAL), requests).routes([row], lambda _: handler))
    async with listening(AppRunner(app, Clocks(), shutdown_timeout=0.1)) as url, sealing.session() as session:
        readers = []
        for workspace in (1, 2, 1, 2):
            ((name, text),) = sealed(workspace, scopes=["track"]).items()
            who = sealing.line(f"{name}: {text}", row.method, row.path)
            head = f"POST {row.path} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n{who}\r\n\r\n"
            readers.append(await slow(url, head.encode() + body))
            assert await readers[-1][0].readline() == b"HTTP/1.1 200 OK\r\n"
        for workspace, status in ((3, 200), (1, 503)):
            async with session.post(url + row.path, data=body, headers=sealed(workspace, scopes=["track"])) as answer:
                assert answer.status == status
                await answer.read()
        for _, writer in readers:
            writer.close()
    assert done == [1, 2, 1, 2, 3]


async def slow(url: str, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has asked; of the answer only a little is taken until it is read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # else the kernel may take all of it
    connection.connect(("127.0.0.1", int(url.rpartition(":")[2])))
    reader, writer = await asyncio.open_connection(sock=connection)
    writer.write(request)
    return reader, writer
