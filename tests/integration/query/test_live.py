"""GET /v1/live over real HTTP, through a real gateway, with a real aggregator behind it (ADR 0041)."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from postmeter.aggregator.live import onlookers
from postmeter.gateway.people import sessions, users
from postmeter.gateway.people.browser.cookie import SESSION
from postmeter.gateway.people.browser.kinds import Browser
from postmeter.gateway.proxy import lifetimes
from postmeter.query.live import channel, reader
from postmeter.shared.stream import live_events, streams
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.live_events import LiveEvent
from tests import sealing, waiting
from tests.aggregation import Bench, bench, event, hit, registration
from tests.integration.running_gateway import bearer, gateway
from tests.integration.running_query import Workspaces, query_service, sealed, workspaces
from tests.product import PATIENCE

UNBOUNDED = aiohttp.ClientTimeout(total=None)
NOW = int(datetime.now(UTC).timestamp()) * 1_000_000


@dataclass(frozen=True)
class Told:
    """One server-sent event."""

    id: str
    event: str
    data: Any


@dataclass
class Place:
    """A workspace with a key, and everything that its live streams come through."""

    here: Workspaces
    bench: Bench
    url: str
    workspace: int
    key: str
    session: aiohttp.ClientSession
    known: int = field(default=0)

    @asynccontextmanager
    async def looking(self, query: str = "?events=1", **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self.url}/v1/live{query}"
        async with self.session.get(url, headers=bearer(self.key) | headers) as answer:
            yield answer

    async def opens(self, n: int, **changes: Any) -> list[int]:
        """So many opens, each of a time of its own, in one batch; these times in seconds."""
        if not self.known:
            await self.bench.streams.append(0, registration(1, workspace=self.workspace))
        times = [NOW + (self.known + k) * 1_000_000 for k in range(n)]
        self.known += n
        hits = [hit(1, at - 3600 * 1_000_000, workspace=self.workspace, **changes) for at in times]
        await self.bench.streams.append(0, *hits)
        return [at // 1_000_000 - 3600 for at in times]

    async def is_watched(self) -> None:
        """Wait until the aggregator knows that somebody looks on: it shows what is counted."""
        async with self.looking() as answer:
            await self.is_shown(answer)

    async def is_shown(self, answer: aiohttp.ClientResponse) -> None:
        """Wait until this reader has seen all that is counted; as long as it stays, the aggregator goes on showing."""
        async with asyncio.timeout(PATIENCE):
            while True:
                (last,) = await self.opens(1)
                shows = False
                async for one in told(answer):
                    # Those before it may come late, too; from the first that is shown on, none is left out.
                    shows = shows or one.event == "event"
                    if one.event == "event" and times([one]) == [last]:
                        return
                    if one.event == "counters" and not shows:
                        break


async def told(answer: aiohttp.ClientResponse) -> AsyncIterator[Told]:
    """What comes, but comments."""
    assert answer.status == 200, await answer.text()
    while True:
        fields: dict[str, str] = {}
        while line := (await answer.content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        if answer.content.at_eof() and not fields:
            return
        if "data" in fields:
            yield Told(fields.get("id", ""), fields["event"], json.loads(fields["data"]))


async def until(answer: aiohttp.ClientResponse, is_last: Callable[[Told], bool]) -> list[Told]:
    found = []
    async with asyncio.timeout(PATIENCE):
        async for one in told(answer):
            found.append(one)
            if is_last(one):
                return found
    raise AssertionError(f"the stream ended: {found[-3:]}")


def times(found: list[Told]) -> list[int]:
    return [int(datetime.fromisoformat(one.data["at"]).timestamp()) for one in found if one.event == "event"]


def at(second: int) -> Callable[[Told], bool]:
    return lambda one: one.event == "event" and times([one]) == [second]


def named(id_: str) -> Callable[[Told], bool]:
    return lambda one: one.id == id_


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done once in some seconds is done ten times a second."""
    for place in ((channel, "POLL_SECONDS"), (onlookers, "LOOK_SECONDS"), (lifetimes, "CHECK_SECONDS")):
        monkeypatch.setattr(*place, 0.1)
    monkeypatch.setattr(channel, "LOOK_SECONDS", PATIENCE)


@pytest.fixture
async def place(postgres_dsn: str, redis_url: str) -> AsyncIterator[Place]:
    async with (
        bench(postgres_dsn, redis_url) as counting,
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, lambda: datetime.now(UTC)) as query,
        gateway(postgres_dsn, query_url=query, client_connections=0) as url,
        counting.aggregator(shards=1),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=UNBOUNDED) as session,
    ):
        number = await here.workspace()
        yield Place(here, counting, url, number, await here.key(number), session)


async def test_counters_and_events_in_order_each_with_its_id(place: Place) -> None:
    async with place.looking() as answer, place.looking("") as counting:
        await place.is_shown(answer)
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
        assert "Content-Length" not in answer.headers
        machines = await place.opens(3, prefetch=True)
        people = await place.opens(4)
        found = await until(answer, at(people[-1]))
        assert [second for second in times(found) if second >= machines[0]] == machines + people
        last = found[-1].data
        assert (last["type"], last["verdict"], last["counted"]) == ("opened", "human", True)
        assert (last["campaign"], last["domain"]) == ("spring", "shop.example")
        shown = [one.data["verdict"] for one in found if one.event == "event"]  # counters may stand between them
        assert shown[-len(machines + people) :] == ["machine"] * len(machines) + ["human"] * len(people)
        opened = (await until(answer, lambda one: one.event == "counters"))[-1].data
        only = await until(counting, lambda one: one.data["opens"] >= opened["opens"])
        assert {one.event for one in only} == {"counters"}
        assert opened["machine_opens"] == 3
        assert opened["opens"] == place.known - 3
        assert {"sent", "delivered", "clicks", "bounced"} <= opened.keys()
        ids = [one.id for one in found]
        assert len(ids) == len(set(ids))
        assert all(ids)


async def test_who_comes_again_misses_nothing_and_is_told_if_it_does(place: Place, redis_url: str) -> None:
    async with place.looking() as answer:
        await place.is_shown(answer)
        first = await place.opens(5)
        before = await until(answer, at(first[2]))
    # Gone; meanwhile more happens, and query-service is another one.
    second = await place.opens(5)
    await place.bench.counted()
    async with (
        query_service(place.here, redis_url, lambda: datetime.now(UTC)) as query,
        gateway(place.bench.dsn, query_url=query) as place.url,
    ):
        for last in (before[-1].id, f"{before[-1].id}.123"):  # the id of an event, and of counters
            async with place.looking(**{"Last-Event-ID": last}) as answer:
                after = await until(answer, at(second[-1]))
            assert times(after) == first[3:] + second
            assert "gap" not in {one.event for one in after}
        for last in ("1-0", "99999999999999-0", "nonsense"):
            async with place.looking(**{"Last-Event-ID": last}) as answer:
                found = await until(answer, lambda one: one.event in ("gap", "counters"))
            assert (found[0].event, found[0].data["since"]) == ("gap", last)


async def burst(place: Place, n: int) -> Callable[[Told], bool]:
    """Large events, as if the aggregator had counted them; what tells the last one."""
    async with place.bench.client.pipeline(transaction=False) as pipeline:
        for k in range(n):
            one = live_events.LiveEvent(k, 10, None, 1, None, 1, None, None, None, "x" * 20_000, True)
            entry: Any = {live_events.EVENT: msgspec.json.encode(one)}
            pipeline.xadd(streams.live_events(place.workspace), entry)
        *_, last = await pipeline.execute()
    return lambda one: one.id == last.decode()


async def test_a_slow_reader_is_dropped_and_the_others_go_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # More than a burst (600 events of 20 KB): a reader that had the last burst whole may be behind with this one.
    monkeypatch.setattr(reader, "PENDING_BYTES", 13_000_000)
    monkeypatch.setattr(reader, "SLOW_SECONDS", PATIENCE)  # the machine may be slow
    loop, slow = asyncio.get_running_loop(), socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    host, port = place.url.removeprefix("http://").split(":")
    request = f"GET /v1/live?events=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {place.key}\r\n\r\n"
    async with asyncio.timeout(PATIENCE), place.looking() as answer:
        with slow:
            await loop.sock_connect(slow, (host, int(port)))
            await loop.sock_sendall(slow, request.encode())
            assert (await loop.sock_recv(slow, 12)).startswith(b"HTTP/1.1 200")
            for _ in range(6):  # together more than what may wait and all buffers on the way hold (33 + 4 + 4 MB)
                await until(answer, await burst(place, 600))
            await until(answer, await burst(place, 40))
            await until(answer, lambda one: one.event == "counters")
            with suppress(ConnectionError):
                while await loop.sock_recv(slow, 1 << 20):  # to the end of what was on its way
                    pass
        await until(answer, await burst(place, 1))


async def test_two_hundred_readers_take_one_look_a_second(place: Place) -> None:
    await place.is_watched()
    stranger = await place.here.key(await place.here.workspace())
    async with AsyncExitStack() as held, place.looking(Authorization=f"Bearer {stranger}") as foreign:
        answers = [await held.enter_async_context(place.looking()) for _ in range(200)]
        last = (await place.opens(7))[-1]
        found = await asyncio.gather(*(until(answer, at(last)) for answer in answers))
        assert {tuple(times(one)[-7:]) for one in found} == {tuple(times(found[0])[-7:])}
        # What comes next is the same for all: it comes from the same look.
        counters = await asyncio.gather(*(until(answer, lambda one: one.event == "counters") for answer in answers))
        assert len({one[-1].id for one in counters}) == 1
        seen = await until(foreign, lambda one: one.event == "counters")
        assert [(one.event, one.data["opens"]) for one in seen] == [("counters", 0)]  # another tenant's own


def resident() -> int:
    """MiB of memory that this process holds, the service in it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


async def test_what_waits_for_readers_is_there_once(postgres_dsn: str, redis_url: str) -> None:
    """Three megabytes for a hundred readers that take nothing are not three hundred."""
    one = LiveEvent(1, EventType.OPENED, None, 1, None, 1, None, None, "u" * 500, "a" * 500, True)
    entry: Any = {live_events.EVENT: msgspec.json.encode(one)}
    target = "/v1/live?events=1"
    async with (
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, lambda: datetime.now(UTC)) as url,
        sealing.session() as session,
        Redis.from_url(redis_url) as redis,
        AsyncExitStack() as held,
    ):
        number = await here.workspace()
        address = (urlsplit(url).hostname, urlsplit(url).port)
        for _ in range(100):
            idle = held.enter_context(socket.socket())
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the kernel takes all of it
            idle.setblocking(False)
            await asyncio.get_running_loop().sock_connect(idle, address)
            lines = (sealing.line(f"{name}: {value}", "GET", target) for name, value in sealed(number).items())
            request = "\r\n".join((f"GET {target} HTTP/1.1", "Host: x", *lines, "", ""))
            await asyncio.get_running_loop().sock_sendall(idle, request.encode())
        answer = await held.enter_async_context(session.get(url + target, headers=sealed(number)))
        await until(answer, lambda one: one.event == "counters")
        before = resident()
        for _ in range(3):
            async with redis.pipeline(transaction=False) as pipeline:
                for _ in range(1000):
                    pipeline.xadd(streams.live_events(number), entry)
                last = (await pipeline.execute())[-1].decode()
            await until(answer, named(last))
        assert resident() - before < 100


async def test_what_is_left_out_while_one_looks_is_told(place: Place) -> None:
    async with place.looking() as answer:
        await place.is_shown(answer)
        some = await place.opens(onlookers.MOST + 50)
        found = await until(answer, at(some[-1]))
        assert [one.data for one in found if one.event == "skipped"] == [{"events": 50}]
        assert times(found)[-onlookers.MOST :] == some[50:]
        await place.bench.client.delete(streams.live_events(place.workspace))  # as a Redis that was emptied
        (*_, gap) = await until(answer, lambda one: one.event == "gap")
        assert gap.data["since"] == found[-1].id
        await until(answer, await burst(place, 1))


async def test_it_ends_when_the_key_is_revoked(place: Place) -> None:
    async with place.looking() as answer:
        await until(answer, lambda one: one.event == "counters")
        await place.here.pool.execute("UPDATE api_key SET revoked_at = now()")
        async with asyncio.timeout(PATIENCE):
            found = [one async for one in told(answer)]
        assert (found[-1].event, found[-1].data["code"]) == ("end", "UNAUTHORIZED")
    async with place.looking() as answer:
        assert answer.status == 401


ENDS = {
    "signed out": "UPDATE session SET revoked_at = now()",
    "idle": "UPDATE session SET seen_at = now() - interval '25 hours'",
    "over": "UPDATE session SET expires_at = now()",
    "the user disabled": "UPDATE user_account SET disabled_at = now()",
    "a viewer of nothing": "UPDATE user_account SET role = 'of another release'",
    "confined": "UPDATE user_account SET domains = '{a.example}'",
}


@pytest.mark.parametrize("ended", ENDS)
async def test_it_ends_with_the_session(place: Place, ended: str) -> None:
    async with place.here.pool.acquire() as connection, connection.transaction():
        workspace = await connection.fetchval("SELECT id FROM workspace WHERE number = $1", place.workspace)
        user = await users.create(connection, workspace, "ada@shop.example", "viewer", None)
        token = await sessions.begin(connection, *user, None, Browser(None, None))
        cookie = {"Cookie": f"{SESSION.plain}={token}"}
    async with place.session.get(f"{place.url}/v1/live", headers=cookie) as answer:
        await until(answer, lambda one: one.event == "counters")
        await place.here.pool.execute(ENDS[ended])
        async with asyncio.timeout(PATIENCE):
            found = [one async for one in told(answer)]
    if ended != "confined":  # who has other rights comes again, and is told then what they are
        assert (found[-1].event, found[-1].data["code"][:4]) == ("end", "FORB" if "nothing" in ended else "UNAU")
    async with place.session.get(f"{place.url}/v1/live", headers=cookie) as answer:
        assert answer.status == (403 if ended in ("confined", "a viewer of nothing") else 401)


@pytest.mark.parametrize("stopped", ["gateway", "query"])
async def test_it_ends_cleanly_when_a_service_stops(postgres_dsn: str, redis_url: str, stopped: str) -> None:
    async with workspaces(postgres_dsn) as here, AsyncExitStack() as held:
        key = await here.key(await here.workspace())
        inner = await held.enter_async_context(AsyncExitStack())
        query = await (held if stopped == "gateway" else inner).enter_async_context(
            query_service(here, redis_url, lambda: datetime.now(UTC))
        )
        outer = gateway(postgres_dsn, query_url=query, stop_timeout=20.0)
        url = await (inner if stopped == "gateway" else held).enter_async_context(outer)
        session = await held.enter_async_context(aiohttp.ClientSession())
        answer = await session.get(f"{url}/v1/live", headers=bearer(key))
        await until(answer, lambda one: one.event == "counters")
        closing = asyncio.create_task(inner.aclose())
        async with asyncio.timeout(PATIENCE):
            assert {one.event async for one in told(answer)} <= {"counters"}  # and no broken connection
            await closing


async def test_who_may_not_look_on_is_told_so(place: Place) -> None:
    keys = {
        "confined": (await place.here.key(place.workspace, "domain_admin", domains=["shop.example"]), 403),
        "without scope": (await place.here.key(place.workspace, scopes=("track",)), 403),
        "unknown": ("pm_unknown", 401),
    }
    for key, status in keys.values():
        async with place.session.get(f"{place.url}/v1/live", headers=bearer(key)) as answer:
            assert (answer.status, list((await answer.json())["error"])[:2]) == (status, ["code", "message"])
    async with place.looking("?events=yes") as answer:
        assert (answer.status, (await answer.json())["error"]["field"]) == (400, "events")


async def test_who_leaves_is_no_trouble(place: Place) -> None:
    with capture_logs() as lines:
        async with place.looking("") as answer:
            await until(answer, lambda one: True)

        async def noticed() -> bool:
            return any(line["event"] == "an answer broke off" for line in lines)

        await waiting.until(noticed)
    assert [line for line in lines if line["log_level"] != "debug"] == []


async def test_nothing_is_added_where_nobody_looks(place: Place) -> None:
    """No stream that nobody began, and none that stays."""
    other = await place.here.workspace()
    await place.is_watched()
    client = place.bench.client
    for _ in range(2):  # what one flush shows, it shows before the next one
        await place.bench.streams.append(0, event(EventType.RECEIVED, domain="a.example", workspace=other))
        await place.bench.counted()
    assert not await client.exists(streams.live_events(other))
    assert 0 < await client.ttl(streams.live_events(place.workspace)) <= live_events.KEPT_SECONDS
