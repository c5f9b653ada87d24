"""Downloads have turns of their own, of each link a few: slow readers hold up nobody else."""

import asyncio
import contextlib
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from postmeter.gateway.proxy import answer, upstream
from postmeter.gateway.service import DOWNLOADS, DOWNLOADS_OF_ONE, WORKSPACE_SHARE
from postmeter.shared.apis.documents.exports import DOWNLOAD_PATH
from postmeter.shared.apis.mail.unsubscribe import UNSUBSCRIBE_PATH
from postmeter.shared.http import concurrency as turns
from postmeter.shared.links.tokens import KeyRing, workspace_of
from tests.integration.running_gateway import TOKEN_KEYS, bearer, client, gateway, service
from tests.integration.running_query import workspaces
from tests.product import PATIENCE

LARGE = bytes(8 << 20)


def link(workspace: str, export: str) -> str:
    return DOWNLOAD_PATH.format(workspaceId=workspace, exportId=export)


class Files:
    """query-service and tracking-service, whose large answers are read by somebody slow."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.open = asyncio.Event()
        self.changed = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if not {"slow", "endless"} & set(re.split("[/0-9]", request.path)):
            return web.Response(text="here")
        self._note(self.begun, request.path)
        response = web.StreamResponse()
        endless = "endless" in request.path
        response.content_length = 1 << 40 if endless else len(LARGE)
        try:
            await response.prepare(request)
            while endless:
                await response.write(LARGE)
            await response.write(LARGE[: 1 << 16])
            await self.open.wait()
            await response.write(LARGE[1 << 16 :])
        finally:
            self._note(self.ended, request.path)
        return response

    def _note(self, counter: Counter[str], path: str) -> None:
        counter[path] += 1
        self.changed.set()

    async def until(self, counter: Counter[str], count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while counter.total() < count:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def town(dsn: str, **settings: Any) -> AsyncIterator[tuple[Files, str]]:
    files = Files()
    async with service(files.answer) as url, gateway(dsn, query_url=url, tracking_url=url, **settings) as at:
        try:
            yield files, at
        finally:
            files.open.set()


@asynccontextmanager
async def readers(url: str, paths: list[str]) -> AsyncIterator[list[asyncio.Task[int]]]:
    """Each asks for one path; the tasks end with the status once the head has come."""

    async def read(path: str) -> int:
        async with client() as session, session.get(URL(url + path, encoded=True)) as got:
            if got.status == 200:
                with contextlib.suppress(Exception):
                    await got.read()
            return got.status

    tasks = [asyncio.create_task(read(path)) for path in paths]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def statuses(tasks: list[asyncio.Task[int]], count: int) -> list[int]:
    """Those of the first `count` that end."""
    found: list[int] = []
    for task in asyncio.as_completed(tasks, timeout=PATIENCE):
        found.append(await task)
        if len(found) == count:
            break
    return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.3)
    monkeypatch.setattr(upstream, "CONNECT_SECONDS", PATIENCE)  # seventy connections at once, on a busy machine


@pytest.mark.usefixtures("impatient")
async def test_the_readers_of_one_link_hold_up_nobody(shared_postgres_dsn: str) -> None:
    spellings = [link("w", "slow"), link("w", "slo%77"), link("%77", "slow"), link("w", "slow") + "?signature=x"]
    async with workspaces(shared_postgres_dsn) as here, town(shared_postgres_dsn) as (files, url), client() as session:
        async with readers(url, spellings * 10) as tasks:
            await files.until(files.begun, DOWNLOADS_OF_ONE)
            refused = await statuses(tasks, len(tasks) - DOWNLOADS_OF_ONE)
            assert set(refused) == {503}
            assert files.begun.total() == DOWNLOADS_OF_ONE
            key = bearer(await here.key(await here.workspace()))
            for path in (link("w", "other"), link("v", "other"), UNSUBSCRIBE_PATH + "x", "/api/v1/analytics"):
                async with session.get(url + path, headers=key) as got:
                    assert (got.status, await got.text()) == (200, "here")
            files.open.set()
            assert Counter(await asyncio.gather(*tasks)) == Counter([200] * DOWNLOADS_OF_ONE + refused)
        async with session.get(url + link("w", "slow")) as got:
            assert len(await got.read()) == len(LARGE)


@pytest.mark.usefixtures("impatient")
async def test_neither_do_those_of_one_workspace_nor_all_together(shared_postgres_dsn: str) -> None:
    share = DOWNLOADS // WORKSPACE_SHARE
    async with town(shared_postgres_dsn) as (files, url), client() as session, contextlib.AsyncExitStack() as held:
        of_one = [link("w", f"slow{number}") for number in range(share + 3)]
        tasks = await held.enter_async_context(readers(url, of_one))
        assert await statuses(tasks, 3) == [503] * 3
        await files.until(files.begun, share)
        async with session.get(url + link("v", "other")) as got:
            assert got.status == 200
        of_others = [link(f"v{number}", "slow") for number in range(DOWNLOADS - share + 3)]
        tasks = await held.enter_async_context(readers(url, of_others))
        assert await statuses(tasks, 3) == [503] * 3
        await files.until(files.begun, DOWNLOADS)
        async with session.get(url + link("u", "other")) as got:
            assert got.status == 503
        async with session.get(url + UNSUBSCRIBE_PATH + "x") as got:
            assert got.status == 200


@pytest.mark.usefixtures("impatient")
async def test_unsubscribes_of_one_workspace_hold_up_no_other(shared_postgres_dsn: str) -> None:
    ring = KeyRing.parse(TOKEN_KEYS)
    mine, theirs = (ring.sign_unsubscribe(number, bytes(16)) for number in (7, 8))
    release, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def stuck(request: web.Request) -> web.Response:
        if mine in request.path:
            begun.release()
            await release.wait()
        return web.Response(text="here")

    async with (
        service(stuck) as at,
        gateway(shared_postgres_dsn, tracking_url=at, service_requests=8) as url,
        readers(url, [UNSUBSCRIBE_PATH + mine] * 6) as tasks,
        client() as session,
    ):
        assert await statuses(tasks, 4) == [503] * 4
        for _ in range(2):
            await begun.acquire()
        async with session.get(url + UNSUBSCRIBE_PATH + theirs) as got:
            assert got.status == 200
        release.set()


def test_a_token_s_workspace_is_read_without_its_key() -> None:
    ring = KeyRing.parse(TOKEN_KEYS)
    assert workspace_of(ring.sign_unsubscribe(4_000_000_000, bytes(16)).encode()) == 4_000_000_000
    for text in (b"", b"x", b"%2e" * 16, b"A" * 47, b"A" * 52, "é".encode() * 24, b"=" * 48):
        assert workspace_of(text) == 0


async def test_who_takes_nothing_is_cut_off_and_frees_the_turn(
    shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer, "WRITE_SECONDS", 0.3)
    async with town(shared_postgres_dsn) as (files, url), client() as session:
        with contextlib.ExitStack() as held:
            for _ in range(DOWNLOADS_OF_ONE):
                connection = held.enter_context(contextlib.closing(dead_reader(url)))
                connection.sendall(f"GET {link('w', 'endless')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await files.until(files.begun, DOWNLOADS_OF_ONE)
            # The file has no end, and the readers are still there: only the gateway can end this.
            await files.until(files.ended, DOWNLOADS_OF_ONE)
            monkeypatch.setattr(answer, "WRITE_SECONDS", 30.0)
            files.open.set()
            async with session.get(url + link("w", "slow")) as got:
                assert len(await got.read()) == len(LARGE)


def dead_reader(url: str) -> socket.socket:
    """A connection of which nothing is ever read."""
    host, _, port = url.removeprefix("http://").partition(":")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect((host, int(port)))
    return made


async def test_a_file_in_a_bucket_is_shown_the_way_to(shared_postgres_dsn: str) -> None:
    async def moved(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "https://bucket.example/e?a=1&b=%2F", "X-Own": "1"})

    async with service(moved) as url, gateway(shared_postgres_dsn, query_url=url) as door, client() as session:
        for method in ("GET", "HEAD"):
            asked = session.request(method, door + link("w", "exp_1"), allow_redirects=False)
            async with asked as told:
                assert (told.status, told.headers["Location"]) == (302, "https://bucket.example/e?a=1&b=%2F")
                assert "X-Own" not in told.headers
