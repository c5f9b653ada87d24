"""Campaigns from end to end: said to tracking-service, kept by the aggregator, read from query-service."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest
from yarl import URL

from postmeter.aggregator.fold import moments
from postmeter.aggregator.fold.changes import Sendings
from postmeter.aggregator.store.campaigns import Campaigns
from postmeter.shared.auth.secret import Secret
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import CampaignChange, Record
from tests import sealing
from tests.aggregation import AT, SECOND, Bench, bench, event, message, registration
from tests.integration.running_gateway import bearer, gateway
from tests.integration.running_query import Workspaces, query_service, sealed, workspaces
from tests.integration.tracking_service import SHARDS, WORKSPACE, Service
from tests.waiting import until

NOW = datetime.now(UTC)
EARLIEST = "(SELECT min(m.sent_at) FROM mail m WHERE m.campaign = c.id)"


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        made.settings = replace(made.settings, shards=SHARDS)
        yield made


@pytest.fixture
def tracking(redis_url: str, tmp_path: Path) -> Iterator[Service]:
    running = Service(redis_url, tmp_path / "spool", append_deadline=60)
    yield running
    assert running.terminate() == 0


@asynccontextmanager
async def reading(at: Bench, redis_url: str) -> AsyncIterator[tuple[Workspaces, "Reader"]]:
    async with workspaces(at.dsn) as here, query_service(here, redis_url, NOW) as url, sealing.session() as client:
        yield here, Reader(client, url)


class Reader:
    """Asks GET /v1/campaigns as the gateway does."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url

    async def ask(self, query: str = "", workspace: int = WORKSPACE, **caller: Any) -> tuple[int, Any]:
        headers = sealed(workspace, **caller)
        async with self._client.get(f"{self._url}/v1/campaigns{query}", headers=headers) as answer:
            return answer.status, await answer.json()

    async def all(self, workspace: int = WORKSPACE, **caller: Any) -> dict[str, dict[str, Any]]:
        status, body = await self.ask("", workspace, **caller)
        assert (status, body["next_cursor"]) == (200, None)
        return {campaign["id"]: campaign for campaign in body["data"]}


def said(at: int, campaign: str = "spring", name: str | None = None, status: str | None = None) -> CampaignChange:
    return CampaignChange(at, WORKSPACE, campaign, name, status)


async def test_what_is_put_is_read_back(at: Bench, tracking: Service, redis_url: str) -> None:
    hostile = "=HYPERLINK(1) <script>alert('ü')</script>"
    for campaign, body in (
        ("spring", {"name": "Spring"}),
        ("spring", {"status": "scheduled"}),
        (hostile, {"name": hostile, "status": hostile}),
        ("taken back", {"name": "x", "status": "paused"}),
        ("taken back", {"name": "", "status": ""}),
    ):
        body = {name: value[:50] for name, value in body.items()}
        path = f"/v1/campaigns/{quote(campaign, safe='')}"
        assert tracking.post(path, body, method="PUT").status == 200
    async with at.aggregator(), reading(at, redis_url) as (_, reader):
        await at.counted()
        found = await reader.all()
    created = {one.pop("created_at") for one in found.values()}
    assert all(timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(one) < timedelta(hours=1) for one in created)
    assert found == {
        "spring": {"id": "spring", "name": "Spring", "status": "scheduled", "sent_at": None},
        hostile: {"id": hostile, "name": hostile, "status": hostile, "sent_at": None},
        "taken back": {"id": "taken back", "name": "taken back", "status": "draft", "sent_at": None},
    }


async def test_what_was_said_last_stays_whatever_the_order_of_arrival(at: Bench) -> None:
    def facts(campaign: str) -> list[Record]:
        return [
            said(AT + 1, campaign, name="Early", status="draft"),
            said(AT + 3, campaign, name="Late"),
            said(AT + 4, campaign, status="paused"),
            # A registration names it too, in between.
            registration(1, at=AT + 2, workspace=WORKSPACE, campaign=campaign, campaign_name="Registered"),
        ]

    orders = [(facts(f"c{n}"), order) for n, order in enumerate(permutations(range(4)))]
    async with at.aggregator():
        for step in (0, 1, 2, 3, 0):
            # What was first comes again at the end, as after a takeover.
            await at.streams.append(step % 2, *(found[order[step]] for found, order in orders))
            await at.counted()
    rows = await at.db.fetch("SELECT name, status, count(*) FROM campaign GROUP BY 1, 2")
    assert [tuple(row) for row in rows] == [("Late", "paused", len(orders))]


async def test_one_flush_may_say_much_of_one_campaign(at: Bench) -> None:
    changes = [said(AT + n, name=f"name {n}", status=f"status {-n}") for n in (3, 9, 1)]
    await at.streams.append(0, *changes, said(AT, "other", status="x"), said(AT + 10, status="last"))
    # Neither is one that tracking-service would write; the others count.
    await at.streams.append(0, said(AT, "", name="x"), said(AT, "nul", name="a\0b"), said(AT, "good", name="y"))
    async with at.aggregator():
        await at.counted()
    rows = await at.db.fetch("SELECT id, name, status FROM campaign ORDER BY id")
    assert [tuple(row) for row in rows] == [("good", "y", ""), ("other", "", "x"), ("spring", "name 9", "last")]
    assert await at.value("SELECT count(*) FROM dead_letter") == 2


async def test_a_campaign_is_sent_when_its_first_message_was(at: Bench, redis_url: str) -> None:
    campaigns = {1: "spring", 2: "spring", 3: "autumn", 4: "", 5: "spring"}
    domains = {1: "a.example", 2: "b.example", 3: "a.example", 4: "a.example", 5: "a.example"}
    await at.streams.append(
        0,
        *(
            registration(n, workspace=WORKSPACE, campaign=name, campaign_name="", from_domain=domains[n])
            for n, name in campaigns.items()
        ),
    )

    def sent(n: int, seconds: int) -> Any:
        return event(EventType.SENT, n, AT + seconds * SECOND, workspace=WORKSPACE)

    async def sent_at(reader: Reader) -> dict[str, str | None]:
        await at.counted()
        return {name: campaign["sent_at"] for name, campaign in (await reader.all()).items()}

    def stamp(seconds: int) -> str:
        return f"{datetime.fromtimestamp(AT // SECOND + seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"

    async with at.aggregator(), reading(at, redis_url) as (_, reader):
        assert await sent_at(reader) == {"spring": None, "autumn": None}
        await at.streams.append(0, sent(1, 50), sent(4, 1), event(EventType.DELIVERED, 3, AT, workspace=WORKSPACE))
        assert await sent_at(reader) == {"spring": stamp(50), "autumn": None}
        await at.streams.append(1, sent(2, 60), sent(5, 70))
        assert await sent_at(reader) == {"spring": stamp(50), "autumn": None}
        written = await at.value("SELECT xmin::text FROM campaign WHERE id = 'spring'")
        await at.streams.append(2, sent(5, 55), sent(1, 80))
        assert await sent_at(reader) == {"spring": stamp(50), "autumn": None}
        # Nothing earlier: the row that everybody mails for was not written again.
        assert await at.value("SELECT xmin::text FROM campaign WHERE id = 'spring'") == written
        await at.streams.append(0, sent(2, 30), sent(2, 20), sent(1, 40))
        assert await sent_at(reader) == {"spring": stamp(20), "autumn": None}
        await at.streams.append(0, sent(3, 10))
        assert await sent_at(reader) == {"spring": stamp(20), "autumn": stamp(10)}
        statuses = {name: one["status"] for name, one in (await reader.all()).items()}
        assert statuses == {"spring": "sent", "autumn": "sent"}
    earliest = (
        "SELECT bool_and(c.sent_at = (SELECT min(m.sent_at) FROM mail m WHERE m.campaign = c.id)) FROM campaign c"
    )
    assert await at.value(earliest)


async def test_messages_beyond_the_limit_of_series_still_tell_when_their_campaign_was_sent(at: Bench) -> None:
    async with at.aggregator(series_limit=1):
        for n in (1, 2, 3):
            await at.streams.append(0, registration(n, campaign=f"c{n}", campaign_name=""))
            await at.counted()
        await at.streams.append(0, event(EventType.SENT, 3, AT + 9), event(EventType.SENT, 2, AT + 5))
        await at.streams.append(0, event(EventType.SENT, 2, AT + 3), event(EventType.SENT, 1, AT + 1))
        await at.counted()
    rows = await at.db.fetch(
        "SELECT id, sent_at = (SELECT min(sent_at) FROM mail WHERE campaign = c.id) FROM campaign c"
    )
    assert sorted(map(tuple, rows)) == [("c1", True), ("c2", True), ("c3", True)]


async def test_events_that_waited_for_their_message_tell_it_too(at: Bench) -> None:
    await at.streams.append(0, event(EventType.SENT, 1, AT + 7))
    async with at.aggregator():

        async def waits() -> bool:
            return bool(await at.value("SELECT count(*) FROM waiting") == 1)

        await until(waits)
        await at.streams.append(0, registration(1))
        await at.counted()
    assert await at.value("SELECT extract(epoch FROM sent_at) * 1000000 FROM campaign") == AT + 7


async def test_a_list_is_read_page_by_page_by_its_owner_alone(at: Bench, redis_url: str) -> None:
    names = [f"c{n:02}" for n in range(25)]
    async with reading(at, redis_url) as (here, reader):
        mine, other = await here.workspace(), await here.workspace()
        for workspace, name in [*((mine, name) for name in names), (other, "theirs"), (other, "c05")]:
            await at.db.execute("INSERT INTO campaign (workspace, id, name) VALUES ($1, $2, $2)", workspace, name)
            domain = "a.example" if name in names[::2] else "b.example"
            await at.db.execute(
                "INSERT INTO series (workspace, campaign, domain) VALUES ($1, $2, $3)", workspace, name, domain
            )
        for caller, expected in (
            ({}, names),
            ({"role": "domain_admin", "domains": ["a.example"]}, names[::2]),
            ({"role": "domain_admin", "domains": ["a.example", "b.example"]}, names),
            ({"role": "domain_admin", "domains": ["c.example"]}, []),
            ({"role": "domain_admin", "domains": None}, []),
        ):
            assert await pages(reader, mine, caller) == expected
        status, body = await reader.ask("?limit=10", mine)
        cursor = body["next_cursor"]
        for workspace, caller, text in (
            (other, {}, cursor),
            (mine, {"role": "domain_admin", "domains": ["a.example"]}, cursor),
            (mine, {}, cursor[:-2] + "AA"),
            (mine, {}, "x"),
            (mine, {}, ""),
        ):
            status, body = await reader.ask(f"?cursor={text}", workspace, **caller)
            assert (status, body["error"]["code"], body["error"]["field"]) == (400, "INVALID_CURSOR", "cursor")
        for limit in ("0", "-1", "abc", "1001", "1e3", "٣", "9" * 50, "", "1&limit=2"):
            status, body = await reader.ask(f"?limit={limit}", mine)
            assert (status, body["error"]["field"]) == (400, "limit")
        assert (await reader.ask("", mine, scopes=["track"]))[0] == 403


async def pages(reader: Reader, workspace: int, caller: dict[str, Any]) -> list[str]:
    found, query = [], "?limit=10"
    while True:
        status, body = await reader.ask(query, workspace, **caller)
        assert status == 200
        assert len(body["data"]) <= 10
        found += [campaign["id"] for campaign in body["data"]]
        if body["next_cursor"] is None:
            return found
        query = f"?limit=10&cursor={body['next_cursor']}"


@asynccontextmanager
async def flushing(at: Bench) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection as the aggregator's, inside a transaction that is committed at the end."""
    connection = await asyncpg.connect(at.dsn, server_settings={"lock_timeout": "20s"})
    try:
        await moments.prepare(connection)
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def mailed(at: Bench) -> None:
    """Messages 1 and 2 of one campaign, of which nothing was sent."""
    await at.streams.append(0, registration(1), registration(2))
    async with at.aggregator():
        await at.counted()


def sendings(series: int, when: int) -> Sendings:
    found = Sendings()
    found.add(1, message(1), when, series)
    return found


async def test_two_flushes_that_cannot_see_each_other_end_in_the_earlier_sending(at: Bench) -> None:
    await mailed(at)
    series = await at.value("SELECT DISTINCT series FROM message")
    async with flushing(at) as later:
        async with flushing(at) as earlier:
            await Campaigns().write(earlier, sendings(series, AT + 10))
            # It has seen that nothing was sent yet, and waits for the row.
            waiting = asyncio.create_task(Campaigns().write(later, sendings(series, AT + 20)))

            async def waits() -> bool:
                return bool(await at.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await until(waits)
        await waiting
    assert await at.value("SELECT extract(epoch FROM sent_at) * 1000000 FROM campaign") == AT + 10


async def test_a_flush_with_nothing_earlier_waits_for_nobody_who_writes_the_campaign(at: Bench) -> None:
    await mailed(at)
    series = await at.value("SELECT DISTINCT series FROM message")
    async with flushing(at) as first:
        await Campaigns().write(first, sendings(series, AT + 10))
    async with flushing(at) as holder, flushing(at) as other:
        await holder.execute("SELECT FROM campaign FOR UPDATE")
        await other.execute("SET LOCAL lock_timeout = '1s'")
        await Campaigns().write(other, sendings(series, AT + 20))


async def test_a_client_names_its_campaign_through_the_gateway_and_reads_it_back(
    at: Bench, tracking: Service, redis_url: str
) -> None:
    services = {"tracking_url": f"http://127.0.0.1:{tracking.port}", "redis_url": Secret(redis_url)}
    async with (
        workspaces(at.dsn) as here,
        query_service(here, redis_url, NOW) as query_url,
        gateway(at.dsn, query_url=query_url, **services) as url,
        at.aggregator(),
        sealing.session() as client,
    ):
        workspace = await here.workspace()
        key = bearer(await here.key(workspace, scopes=("track", "analytics")))
        path = URL(f"{url}/v1/campaigns/spring%2F%7B1%7D", encoded=True)
        async with client.put(path, json={"name": "Spring"}, headers=key) as answer:
            assert (answer.status, await answer.json()) == (200, {"data": {"id": "spring/{1}", "name": "Spring"}})
        await at.counted()
        async with client.get(f"{url}/v1/campaigns", headers=key) as answer:
            assert [(one["id"], one["name"]) for one in (await answer.json())["data"]] == [("spring/{1}", "Spring")]
        confined = await here.key(workspace, "domain_admin", ("track", "analytics"), ["shop.example"])
        async with client.put(path, json={"name": "Mine"}, headers=bearer(confined)) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (403, "FORBIDDEN")
        async with client.get(f"{url}/v1/campaigns", headers=bearer(confined)) as answer:
            assert await answer.json() == {"data": [], "next_cursor": None}
