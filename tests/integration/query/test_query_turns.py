"""One workspace's slow reads hold a part of the connections; the others are answered meanwhile.

Statements are slow because a test holds a lock on `message`: nothing but its release, or their cancellation, ends
them. Order is told by who is answered while others still wait, never by time.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import asyncpg
import pytest

from postmeter.query.live import live
from postmeter.query.requests.connection_limiter import MAX_WAITING
from postmeter.shared.storage.postgres import Connection
from tests import sealing
from tests.integration.running_query import Workspaces, query_service, sealed
from tests.product import PATIENCE
from tests.waiting import until

NOW = datetime(2025, 5, 20, 10, 20, 30, tzinfo=UTC)
CONNECTIONS = 8
SHARE = 2
Answer = tuple[int, Any, str | None]


@dataclass
class Api:
    dsn: str
    url: str
    session: aiohttp.ClientSession
    attacker: int
    others: list[int]

    async def get(self, workspace: int, path: str, session: aiohttp.ClientSession | None = None) -> Answer:
        headers = sealed(workspace)
        async with (session or self.session).get(self.url + path, headers=headers) as answer:
            return answer.status, json.loads(await answer.read()), answer.headers.get("Retry-After")

    def message(self, workspace: int, session: aiohttp.ClientSession | None = None) -> Coroutine[Any, Any, Answer]:
        return self.get(workspace, f"/v1/messages/{uuid.uuid4()}", session)

    def search(self, workspace: int) -> Coroutine[Any, Any, Answer]:
        return self.get(workspace, "/v1/messages?search=sale")

    async def reads(self, workspace: int) -> bool:
        """A read that does not touch `message`; a limit only so that a failing test ends."""
        async with asyncio.timeout(PATIENCE):
            return (await self.get(workspace, "/v1/metrics/summary"))[0] == 200


@asynccontextmanager
async def asking(dsn: str, redis_url: str, statement_seconds: float) -> AsyncIterator[Api]:
    async with (
        asyncpg.create_pool(dsn, min_size=1, max_size=CONNECTIONS) as pool,
        query_service(Workspaces(pool), redis_url, NOW, statement_seconds) as url,
        sealing.session(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        attacker, *others = [await Workspaces(pool).workspace() for _ in range(4)]
        yield Api(dsn, url, session, attacker, others)


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with asking(postgres_dsn, redis_url, 60.0) as made:
        yield made


class Lock:
    """Everybody who reads `message`, or the subjects that a search looks through first, waits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def waiting(self) -> int:
        """Statements that wait for it."""
        count: int = await self._connection.fetchval(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND relation IN ('message'::regclass, 'subject'::regclass)"
            " AND NOT granted"
        )
        return count

    async def has(self, number: int) -> None:
        async def reached() -> bool:
            return await self.waiting() == number

        await until(reached)


@asynccontextmanager
async def locked(dsn: str) -> AsyncIterator[Lock]:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE message, subject IN ACCESS EXCLUSIVE MODE")
            yield Lock(connection)
    finally:
        await connection.close()


async def test_slow_reads_of_one_workspace_leave_connections_for_the_others(api: Api) -> None:
    async with locked(api.dsn) as lock:
        slow = [asyncio.create_task(api.message(api.attacker)) for _ in range(20)]
        await lock.has(SHARE)
        assert [await api.reads(other) for other in api.others] == [True] * 3
        assert (await lock.waiting(), [task for task in slow if task.done()]) == (SHARE, [])
    assert {(await task)[0] for task in slow} == {404}
    assert await api.reads(api.attacker)


async def test_slow_searches_have_turns_of_their_own(api: Api) -> None:
    async with locked(api.dsn) as lock:
        slow = [asyncio.create_task(api.search(api.attacker)) for _ in range(5)]
        await lock.has(1)
        assert await api.reads(api.attacker)
        assert await lock.waiting() == 1
        slow += [asyncio.create_task(api.search(other)) for other in api.others for _ in range(3)]
        await lock.has(2)
        assert [await api.reads(workspace) for workspace in (api.attacker, *api.others)] == [True] * 4
        assert (await lock.waiting(), [task for task in slow if task.done()]) == (2, [])
    assert {(await task)[0] for task in slow} == {200}


async def test_the_queue_of_a_workspace_is_bounded(api: Api) -> None:
    async with locked(api.dsn) as lock:
        slow = [asyncio.create_task(api.message(api.attacker)) for _ in range(SHARE + MAX_WAITING + 3)]
        await lock.has(SHARE)

        async def refused() -> bool:
            return sum(task.done() for task in slow) == 3

        await until(refused)
        for status, body, retry_after in [task.result() for task in slow if task.done()]:
            assert (status, body["error"]["code"], retry_after) == (503, "UNAVAILABLE", "1")
        assert await api.reads(api.others[0])
    assert sorted([(await task)[0] for task in slow]) == [404] * (SHARE + MAX_WAITING) + [503] * 3


async def test_waiting_is_time_of_the_request_and_ends(postgres_dsn: str, redis_url: str) -> None:
    async with asking(postgres_dsn, redis_url, 0.1) as api, locked(postgres_dsn) as lock:
        first = [asyncio.create_task(api.message(api.attacker)) for _ in range(SHARE)]
        await lock.has(SHARE)
        then = [asyncio.create_task(api.message(api.attacker)) for _ in range(SHARE)]
        for task in then:
            status, body, retry_after = await task
            assert (status, body["error"]["code"], retry_after) == (503, "UNAVAILABLE", "1")
        for task in first:
            status, body, _ = await task
            assert (status, body["error"]["code"]) == (504, "QUERY_TIMEOUT")
        await lock.has(0)  # these statements are not worked off: nobody wants their answers
        assert await api.reads(api.attacker)


async def test_who_leaves_takes_its_statements_along(api: Api) -> None:
    async with locked(api.dsn) as lock:
        async with sealing.session(connector=aiohttp.TCPConnector(limit=0)) as session:
            slow = [asyncio.create_task(api.message(api.attacker, session)) for _ in range(20)]
            await lock.has(SHARE)
            for task in slow:
                task.cancel()
            await asyncio.wait(slow)
        await lock.has(0)
        assert await api.reads(api.attacker)


async def test_a_workspace_has_a_part_of_the_live_streams(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "OF_ONE", 2)

    async def begins(held: AsyncExitStack, workspace: int) -> int:
        looking = api.session.get(f"{api.url}/v1/live", headers=sealed(workspace))
        return (await held.enter_async_context(looking)).status

    async with AsyncExitStack() as held:
        assert [await begins(held, api.attacker) for _ in range(3)] == [200, 200, 503]
        assert await begins(held, api.others[0]) == 200


@pytest.mark.parametrize(("user", "database"), [("nobody", None), (None, "nowhere")])
async def test_a_database_that_does_not_let_it_in_is_away(
    postgres_dsn: str, redis_url: str, user: str | None, database: str | None
) -> None:
    """As after a password was changed: nothing is wrong with the question, so that it may be asked again."""
    async with (
        asyncpg.create_pool(postgres_dsn, min_size=0, max_size=CONNECTIONS, user=user, database=database) as pool,
        query_service(Workspaces(pool), redis_url, NOW) as url,
        sealing.session() as session,
    ):
        status, body, retry_after = await Api(postgres_dsn, url, session, 1, []).get(1, "/v1/metrics/summary")
    assert (status, body["error"]["code"], retry_after) == (503, "UNAVAILABLE", "1")
