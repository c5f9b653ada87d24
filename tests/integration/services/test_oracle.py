"""Random histories through the real aggregator: every endpoint's whole answer is the oracle's, to the digit."""

import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from postmeter.shared.apis.endpoint import Service
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.storage import uuid7
from tests import sealing
from tests.integration.running_query import Workspaces, query_service, sealed, workspaces
from tests.oracle.asking import Answer, Asking, Domain, SendingIp, Workspace, answered
from tests.oracle.asks import asks
from tests.oracle.feeding import Feeder, feeder
from tests.oracle.history import History
from tests.oracle.questions import Ask
from tests.oracle.stories import DOMAINS, Story, nows, stories

ANSWERED = {one.path for one in ENDPOINTS if one.service is Service.QUERY and not one.streams}


class Clock:
    """The moment that it is for the query-service; each example sets it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Place:
    """A database with a real aggregator's counting and a real query-service on it."""

    here: Workspaces
    feeder: Feeder
    clock: Clock
    url: str
    session: aiohttp.ClientSession

    async def workspace(self, story: Story, timezone: str, noise: random.Random) -> Workspace:
        """A fresh workspace in which the story has happened."""
        number = await self.here.workspace(created_at=datetime(2024, 2, 29, 12, 30, 15, 999999, tzinfo=UTC))
        await self.here.pool.execute("UPDATE workspace SET timezone = $2 WHERE number = $1", number, timezone)
        # One domain is made by command, the others by their first message.
        await self.here.domain(number, DOMAINS[1], uuid7.new())
        await self.feeder.feed(story, number, noise)
        query = "SELECT id, name FROM domain WHERE workspace = $1 ORDER BY id"
        rows = await self.here.pool.fetch(query, number)
        row = await self.here.pool.fetchrow("SELECT id, created_at FROM workspace WHERE number = $1", number)
        assert row is not None
        made = await self.here.pool.fetch("SELECT id, created_at FROM campaign WHERE workspace = $1", number)
        campaigns = {one["id"]: one["created_at"] for one in made}
        domains = [Domain(str(one["id"]), one["name"]) for one in rows]
        ips = await self.sending_ips(number, story.now, noise)
        return Workspace(number, row["id"], timezone, row["created_at"], domains, ips, campaigns)

    async def sending_ips(self, workspace: int, now: datetime, noise: random.Random) -> list[SendingIp]:
        """IPs of the workspace as the DNSBL job leaves them: not looked up yet, clean, or listed."""
        found = []
        for n in range(noise.randrange(4)):
            checked = noise.choice((None, now - timedelta(minutes=noise.randrange(600))))
            listed = ["zone.example"] if checked and noise.random() < 0.3 else []
            query = "INSERT INTO sending_ip (workspace, ip, checked_at, listed_in) VALUES ($1, $2, $3, $4)"
            await self.here.pool.execute(query, workspace, f"192.0.2.{n}", checked, listed)
            found.append(SendingIp(f"192.0.2.{n}", checked, listed))
        return found

    async def answer(self, ask: Ask, asking: Asking) -> Answer:
        """(200, body without its meta), all pages of it where it has a cursor; or (status, code)."""
        status, body = await self.page(ask.path, ask.body, asking)
        while status == 200 and body.get("next_cursor"):
            cursor = body["next_cursor"]
            given = None if ask.body is None else {**ask.body, "cursor": cursor}
            path = ask.path if given else str(URL(ask.path).update_query(cursor=cursor))
            status, more = await self.page(path, given, asking)
            if status == 200:
                assert more["data"], "a cursor to an empty page"
                body = {**more, "data": body["data"] + more["data"]}
        return status, body

    async def page(self, path: str, body: dict[str, Any] | None, asking: Asking) -> Answer:
        headers = sealed(
            asking.workspace.number,
            asking.role,
            None if asking.confined is None else list(asking.confined),
            workspace_id=asking.workspace.id,
            scopes=["analytics", "mail:read"],
        )
        url = URL(self.url + path, encoded=True)
        async with self.session.request("GET" if body is None else "POST", url, headers=headers, json=body) as response:
            found = json.loads(await response.read(), parse_float=Decimal)
        if response.status != 200:
            return response.status, found["error_type"] if "error_type" in found else found["error"]["code"]
        found.pop("meta", None)
        return 200, found


def difference(found: Any, expected: Any, path: str = "") -> str | None:
    """Where two answers first differ, also in the order of their fields and in the kind of their values."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(found) != list(expected):
            return f"{path}: fields {list(found)}, expected {list(expected)}"
        parts = ((found[key], expected[key], f"{path}.{key}") for key in expected)
        return next((told for part in parts if (told := difference(*part)) is not None), None)
    if isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            return f"{path}: {len(found)} items, expected {len(expected)}: {str(found)[:2000]} {str(expected)[:2000]}"
        items = ((one, other, f"{path}[{n}]") for n, (one, other) in enumerate(zip(found, expected, strict=True)))
        return next((told for item in items if (told := difference(*item)) is not None), None)
    numbers = (int, Decimal)
    alike = type(found) is type(expected) or (type(found) in numbers and type(expected) in numbers)
    return None if alike and found == expected else f"{path}: {found!r}, expected {expected!r}"


@pytest.fixture
async def place(postgres_dsn: str, redis_url: str) -> AsyncIterator[Place]:
    clock = Clock()
    async with (
        workspaces(postgres_dsn) as here,
        feeder(postgres_dsn) as feeding,
        query_service(here, redis_url, clock) as url,
        sealing.session() as session,
    ):
        yield Place(here, feeding, clock, url, session)


def test_every_endpoint_is_asked() -> None:
    now = datetime.now(UTC)
    asking = Asking(Workspace(1, "w", "UTC", now), History([]), now)
    asked = {ask.endpoint for ask in asks(asking, random.Random(0))}
    # Exports, histories and lists of names have tests of their own; a workspace's name is nobody's to reckon.
    own = {"/v1/messages/{id}/events", "/v1/workspace", "/v1/domains", "/v1/recipients/consent", "/v1/audit"}
    unasked = {path for path in ANSWERED - asked - own if "/export" not in path}
    assert not unasked


told = nows().flatmap(lambda now: st.tuples(stories(now), stories(now)))
views = st.sampled_from(
    [("admin", None), ("super_admin", None), ("domain_admin", (DOMAINS[0],)), ("domain_admin", DOMAINS[1:])]
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(both=told, view=views, timezone=st.sampled_from(["UTC", "America/New_York"]), seed=st.integers(0, 2**16))
async def test_every_answer_is_the_oracle_s(
    place: Place, both: tuple[Story, Story], view: tuple[str, Any], timezone: str, seed: int
) -> None:
    noise = random.Random(seed)
    place.clock.now = both[0].now
    for story in both:  # two tenants with the same messages, domains and campaigns
        workspace = await place.workspace(story, timezone, noise)
        asking = Asking(workspace, History(story.records), story.now, *view)
        for ask in asks(asking, noise):
            if ask.endpoint not in ANSWERED:
                continue
            found, expected = await place.answer(ask, asking), answered(ask.expected)
            told = difference(list(found), list(expected))
            assert told is None, f"{ask.path} {ask.body or ''}: {told}"
