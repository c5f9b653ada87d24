"""A service is not ready before its database has the schema that it was written for."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from structlog.testing import capture_logs

from postmeter.aggregator import service as aggregator
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.cli.status import status
from postmeter.gateway import service as gateway
from postmeter.gateway.proxy import neighbour
from postmeter.gateway.settings import GatewaySettings
from postmeter.query import service as query
from postmeter.shared.auth.secret import Secret
from postmeter.shared.process import ops, shared_answers
from postmeter.shared.process.settings import PostgresSettings
from postmeter.shared.storage import migrate, postgres
from tests.integration.running_gateway import client
from tests.integration.running_query import query_settings
from tests.product import free_port, reachable

SECRET = Secret("of this test")
Start = Callable[[str, str, int, asyncio.Event, Path], "asyncio.Task[None]"]


def _aggregator(dsn: str, redis: str, port: int, stop: asyncio.Event, folder: Path) -> "asyncio.Task[None]":
    settings = AggregatorSettings(postgres_dsn=Secret(dsn), redis_url=Secret(redis), ops_port=port)
    return asyncio.create_task(aggregator.serve(settings, stop))


def _query(dsn: str, redis: str, port: int, stop: asyncio.Event, folder: Path) -> "asyncio.Task[None]":
    stores = {"postgres_dsn": Secret(dsn), "redis_url": Secret(redis)}
    settings = query_settings(**stores, ops_port=port, port=free_port(), export_dir=str(folder))
    return asyncio.create_task(query.serve(settings, stop))


def _gateway(
    dsn: str, redis: str, port: int, stop: asyncio.Event, folder: Path, *, query_port: int = 0
) -> "asyncio.Task[None]":
    async def served() -> None:
        server = await asyncio.start_server(_known, "127.0.0.1", 0)
        services = server.sockets[0].getsockname()[1]
        settings = GatewaySettings(
            postgres_dsn=Secret(dsn),
            redis_url=Secret(redis),
            internal_secret=SECRET,
            key_pepper=SECRET,
            tracking_url=f"http://127.0.0.1:{services}",
            query_url=f"http://127.0.0.1:{query_port or services}",
            ops_port=port,
            port=free_port(),
        )
        async with server:
            await gateway.serve(settings, stop)

    return asyncio.create_task(served())


async def _known(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a service answers OPTIONS of a path that it knows, or of one of the gateway's."""
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 404 Not Found\r\n\r\n" if neighbour.OURS.encode() in head else _KNOWN)
    writer.close()


_KNOWN = b"HTTP/1.1 405 Method Not Allowed\r\n\r\n"


@pytest.mark.parametrize("start", [_aggregator, _query, _gateway])
async def test_it_waits_for_the_schema(start: Start, empty_postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    port, stop = free_port(), asyncio.Event()
    task = start(empty_postgres_dsn, redis_url, port, stop, tmp_path)
    try:
        await reachable(port, task)
        async with client() as session:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                assert answer.status == 503
                failed = json.loads(await answer.read())["failed"]
                assert "run `postmeter migrate`" in failed["schema"]
            await migrate.migrate(empty_postgres_dsn)
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                # What it warns of depends on the Redis that the tests are given.
                said = json.loads(await answer.read())
                assert (answer.status, said["ready"], said["failed"]) == (200, True, {})
    finally:
        stop.set()
        await task


@pytest.mark.parametrize("start", [_aggregator, _query, _gateway])
@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        # None of several hosts is what is asked for, as while another one is promoted.
        ("{postgres}{also}target_session_attrs=standby", "None of the hosts match"),
        ("postgresql://u:p@/d?host={folder}", "ConnectionRefusedError: nobody listens on the socket of Postgres"),
    ],
    ids=["no primary", "no socket"],
)
async def test_it_starts_without_postgres_and_says_why_it_waits(
    start: Start, dsn: str, reason: str, postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    port, stop = free_port(), asyncio.Event()
    also = "&" if "?" in postgres_dsn else "?"
    task = start(dsn.format(postgres=postgres_dsn, also=also, folder=tmp_path), redis_url, port, stop, tmp_path)
    try:
        await reachable(port, task)
        async with client() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 503
            assert reason in (await answer.json())["failed"]["postgres"]
        told = await asyncio.to_thread(status, tmp_path, [f"http://127.0.0.1:{port}"])
        (line,) = [line.strip() for line in told.lines if reason in line]
        assert re.match("postgres, schema: |schema, postgres: ", line), "it is told once"
    finally:
        stop.set()
        await task


async def test_where_nobody_listens_is_said_and_no_password() -> None:
    dsn = Secret("postgresql://u:secret@127.0.0.1:1/d")
    pool = await postgres.connect(PostgresSettings(postgres_dsn=dsn), "query", 1.0)
    with pytest.raises(ConnectionRefusedError, match=r"^\[Errno 111\] Connection refused: Postgres at 127\.0\.0\.1:1$"):
        await pool.fetchval("SELECT 1")
    await pool.close()


async def test_a_gateway_waits_for_a_service_once(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    port, query_port, stop = free_port(), free_port(), asyncio.Event()
    task = _gateway(postgres_dsn, redis_url, port, stop, tmp_path, query_port=query_port)
    try:
        await reachable(port, task)
        async with client() as session:

            async def asked() -> tuple[int, set[str], set[str], bool]:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    status, told = answer.status, json.loads(await answer.read())
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    up = 'postmeter_ready{check="query"} 1.0' in await answer.text()
                return status, set(told["failed"]), set(told["warnings"]), up

            assert await asked() == (503, {"query"}, set(), False)
            server = await asyncio.start_server(_known, "127.0.0.1", query_port)
            assert await asked() == (200, set(), set(), True)
            server.close()
            # Every gateway misses it now: were none ready, nobody would take hits or events either.
            assert await asked() == (200, set(), {"query"}, False)
    finally:
        stop.set()
        await task


async def test_a_query_service_that_has_had_redis_once_is_ready_without(
    postgres_dsn: str, server: RedisServer, tmp_path: Path
) -> None:
    port, stop = free_port(), asyncio.Event()
    task = _query(postgres_dsn, server.url, port, stop, tmp_path)
    try:
        await reachable(port, task)
        async with client() as session:

            async def asked() -> tuple[int, set[str], set[str]]:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    told = json.loads(await answer.read())
                    return answer.status, set(told["failed"]), set(told["warnings"])

            assert await asked() == (200, set(), set())
            server.stop()
            # It answers from Postgres. Every replica misses Redis at once, and were none ready, nobody could ask.
            assert await asked() == (200, set(), {"redis"})
    finally:
        stop.set()
        await task


async def test_a_check_without_an_answer_says_so_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "CHECK_SECONDS", 0.05)
    port, answered = free_port(), asyncio.Event()

    async def hangs() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await answered.wait()  # as asyncpg does, which tells the server that it is cancelled

    runner = await ops.start("query", "127.0.0.1", port, CollectorRegistry(), {"postgres": hangs})
    try:
        async with client() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            told = json.loads(await answer.read())
        assert told["failed"] == {"postgres": "TimeoutError: no answer within 0.05 seconds"}
        assert told["service"] == "query"
    finally:
        answered.set()
        await runner.cleanup()


async def test_an_ops_port_that_nobody_has_set_is_told() -> None:
    with capture_logs() as lines:
        runner = await ops.start("query", "127.0.0.1", 0, CollectorRegistry(), {})
    try:
        async with client() as http, http.get(f"http://127.0.0.1:{lines[0]['port']}/healthz") as answer:
            assert answer.status == 200
    finally:
        await runner.cleanup()


async def test_a_flood_of_the_ops_port_is_answered_together() -> None:
    port, registry, looks, made = free_port(), CollectorRegistry(), 0, 0

    async def looked() -> None:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0.03)

    class Costly:
        def collect(self) -> Iterator[Metric]:
            nonlocal made
            made += 1
            time.sleep(0.03)
            yield from ()

    registry.register(Costly())
    runner = await ops.start("query", "127.0.0.1", port, registry, {"postgres": looked})
    made, began = 0, time.monotonic()
    try:
        async with client() as session:

            async def status(path: str, accept: str = "") -> int:
                async with session.get(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept}) as answer:
                    return answer.status

            # Versions that there are not yet are the last one: each would be encoded for itself.
            accepted = [f"application/openmetrics-text; version={n}.0.0" for n in range(1, 41)]
            asked = [status("/readyz") for _ in accepted] + [status("/metrics", accept) for accept in accepted]
            assert set(await asyncio.gather(*asked)) == {200}
        most = 3 + (time.monotonic() - began) / shared_answers.MOST_REST
        assert made < most
        assert looks < most
    finally:
        await runner.cleanup()


async def test_an_ops_port_takes_so_many_connections_of_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "CONNECTIONS", 1)  # of all, which keeps nobody out who has few
    monkeypatch.setattr(ops, "OF_ONE", 2)
    port = free_port()
    runner = await ops.start("query", "127.0.0.1", port, CollectorRegistry(), {})
    try:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert b" 429 " in await held[-1][0].read()
        for _, writer in held:
            writer.close()
    finally:
        await runner.cleanup()
