"""What a confined key may do with another domain's names: nothing that shows, to anybody (hostile-input.md 56).

Two keys of new domains write the same, one under names of another domain's things, one under names that nobody has: the
answers, and later everything that the two can read, differ in these names only; what the other domain's key reads does
not change.
"""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from postmeter.shared.storage import uuid7
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event, Mail, Record
from tests.aggregation import Streams, event
from tests.integration.endpoint_requests import NOW, OURS, SCOPES, SIBLING, Request, base, get, paged
from tests.integration.running_query import Workspaces
from tests.integration.two_tenants import TwoTenants, isolated_town
from tests.oracle.stories import micros
from tests.waiting import until

AT = micros(NOW) - 3_600_000_000
NOBODY, FIRST, SECOND = "zqnobo", "zqnew1", "zqnew2"
"""A mark that nobody has, and two new domains."""
VOLATILE = (
    (r'"(request_id|timestamp|created_at|sent_at|to_hash|createdAt|sentAt|lastEventAt)":"[^"]*"', "WHEN"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"/(api/v1/track/(open|click|unsubscribe)|v1/preferences)/[A-Za-z0-9_-]+", "TOKEN"),
)


@pytest.fixture
async def town(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[TwoTenants]:
    async with isolated_town(postgres_dsn, redis_url, tmp_path) as made:
        yield made


class Stage:
    """The town, keys by the domain that they are confined to, and a way to the streams and tables."""

    def __init__(self, town: TwoTenants, db: "asyncpg.Connection[asyncpg.Record]", streams: Streams) -> None:
        self.town = town
        self.db = db
        self.streams = streams
        self.keys: dict[str, str] = {}

    async def told(self, kind: EventType, name: str, domain: str) -> None:
        """A provider's webhook tells of a message that it calls so, from this domain."""
        mail = Mail("src_00000000000000000000", "0" * 64, "c.example", f"a@{domain}", domain, "", "", "", [])
        await self.append(event(kind, at=AT, mail=mail, provider="PRV-W", provider_message=name))

    async def append(self, *found: Record) -> None:
        number = await self.db.fetchval("SELECT number FROM workspace WHERE id = $1", f"ws-{OURS}")
        await self.streams.append(0, *(_in(record, number) for record in found))

    async def counted(self) -> None:
        """Wait until the streams are counted, and every unregistered message was looked at for the last time."""
        ends = await self.streams.ends()

        async def reached() -> bool:
            rows = await self.db.fetch("SELECT shard, position FROM shard")
            positions = {row["shard"]: row["position"] for row in rows}
            settled = not await self.db.fetchval("SELECT EXISTS (SELECT FROM unregistered)")
            return settled and all(positions.get(shard) == end for shard, end in ends.items())

        await until(reached)

    async def waiting(self) -> list[int]:
        """The events that wait for their message."""
        return [row["id"] for row in await self.db.fetch("SELECT id FROM waiting ORDER BY id")]

    async def write(self, mark: str, request: Request) -> tuple[int, str]:
        status, _, body = await self.town.raw(self.keys[mark], request)
        return status, body

    async def reads(self, mark: str, *campaigns: str) -> str:
        """Everything that a domain's key can read, these campaigns among it, without what differs each time."""
        ids = self.town.ids[OURS]
        by = ["campaign", "domain", "provider", "template", "tag"]
        wanted = [
            get("/v1/campaigns"),
            get("/v1/messages", limit="100"),
            get("/api/v1/analytics", period="30d"),
            get(f"{base(ids)}/analytics/overview"),
            get(f"{base(ids)}/analytics/deliverability"),
            get("/api/v1/analytics/overview"),
            *(Request("POST", "/v1/query", paged(None) | {"dimensions": [one], "limit": 1000}) for one in by),
        ]
        for name in campaigns:
            wanted += [get(f"{base(ids)}/campaigns/{name}/analytics"), get(f"/api/v1/analytics/campaigns/{name}")]
        answers = []
        for request in wanted:
            status, _, body = await self.town.raw(self.keys[mark], request)
            answers.append(f"{request.method} {request.path} {status} {body}")
        text = "\n".join(answers)
        for pattern, name in VOLATILE:
            text = re.sub(pattern, name, text)
        return text


def _in(record: Record, workspace: int) -> Record:
    assert isinstance(record, Event)
    return Event(**{f: getattr(record, f) for f in record.__struct_fields__} | {"workspace": workspace})


@pytest.fixture
async def stage(town: TwoTenants, postgres_dsn: str, redis_url: str) -> AsyncIterator[Stage]:
    client = redis.asyncio.Redis.from_url(redis_url, protocol=2)
    db = await asyncpg.connect(postgres_dsn)
    async with asyncpg.create_pool(postgres_dsn, min_size=1, max_size=1) as pool:
        number = await pool.fetchval("SELECT number FROM workspace WHERE id = $1", f"ws-{OURS}")
        made = Stage(town, db, Streams(client))
        for mark in (SIBLING, FIRST, SECOND):
            made.keys[mark] = await Workspaces(pool).key(number, "domain_admin", SCOPES, [f"{mark}.example"])
    try:
        # What the other domain has beside its registered mail: a campaign with a status, mail of which only a webhook
        # or an event told, and an event under an idempotency key.
        admin = town.keys["admin"]
        change = Request("PUT", f"/v1/campaigns/cmp-{SIBLING}", {"name": f"Plan of {SIBLING}", "status": "paused"})
        await town.good(admin, change)
        await made.told(EventType.SENT, f"web-{SIBLING}", f"{SIBLING}.example")
        await made.told(EventType.SENT, f"untold-{SIBLING}", "")
        await town.good(admin, _named_event("sent", f"wait-{SIBLING}"))
        await town.good(admin, _received(f"key-{SIBLING}", SIBLING))
        await made.counted()
        yield made
    finally:
        await client.aclose()
        await db.close()


def _named_event(kind: str, name: str) -> Request:
    return Request("POST", "/v1/events", {"events": [{"type": kind, "provider": "PRV-W", "provider_message_id": name}]})


def _received(key: str, mark: str) -> Request:
    told = {"type": "received", "domain": f"{mark}.example"} | ({"id": key} if key else {})
    return Request("POST", "/v1/events", {"events": [told]})


def _mail(mark: str, **fields: Any) -> Request:
    given = {"from_address": f"a@{mark}.example", "to": "b@c.example", "subject": "A letter"}
    return Request("POST", "/v1/messages", given | fields)


def writes(own: str, mark: str, message: str) -> list[Request]:
    """What a key of the domain `own` says under names of `mark`."""
    return [
        _mail(own, id=message),
        _mail(own, campaign_id=f"cmp-{mark}", campaign_name="Ours now"),
        _mail(own, campaign_id=f"cmp-{mark}"),
        _mail(own, provider=f"PRV-{mark.upper()}", provider_message_id=mark),
        *(_mail(own, provider="PRV-W", provider_message_id=f"{kind}-{mark}") for kind in ("web", "untold", "wait")),
        _received(f"key-{mark}", own),
        Request("PUT", f"/v1/campaigns/cmp-{mark}", {"status": "sent"}),
        Request("POST", "/v1/events", {"events": [{"type": "complained", "message_id": message}]}),
        _named_event("complained", f"web-{mark}"),
    ]


async def tell_afterwards(stage: Stage, mark: str) -> None:
    """What is told of the mail later, by webhooks and by keys that may tell of everything."""
    await stage.told(EventType.DELIVERED, f"web-{mark}", f"{SIBLING}.example")
    await stage.told(EventType.DELIVERED, f"untold-{mark}", "")
    for kind in ("web", "untold", "wait"):
        await stage.town.good(stage.town.keys["admin"], _named_event("complained", f"{kind}-{mark}"))
    told = {"type": "complained", "provider": f"PRV-{mark.upper()}", "provider_message_id": mark}
    await stage.town.good(stage.town.keys["admin"], Request("POST", "/v1/events", {"events": [told]}))


async def test_naming_what_is_another_domain_s_shows_nothing_and_changes_nothing(stage: Stage) -> None:
    before = await stage.reads(SIBLING, f"cmp-{SIBLING}")
    assert "paused" in before, "the other domain's key sees what there is to be seen"
    waiting = await stage.waiting()
    assert waiting
    answers, seen = [], []
    for own, mark, message in ((FIRST, NOBODY, str(uuid7.new())), (SECOND, SIBLING, stage.town.ids[SIBLING].message)):
        found = [await stage.write(own, request) for request in writes(own, mark, message)]
        assert [status for status, _ in found] == [403, *[201] * 6, 202, 403, 403, 403]
        answers.append([(status, _plain(body, own, mark)) for status, body in found])
    await stage.counted()
    assert await stage.reads(SIBLING, f"cmp-{SIBLING}") == before
    assert await stage.waiting() == waiting, "not even taken out and put back"
    for own, mark in ((FIRST, NOBODY), (SECOND, SIBLING)):
        await tell_afterwards(stage, mark)
        await stage.counted()
        seen.append(_plain(await stage.reads(own, f"cmp-{mark}"), own, mark))
    assert answers[0] == answers[1]
    assert seen[0] == seen[1]
    assert "Ours now" in seen[1], "its own name for it"
    assert "paused" not in seen[1]
    assert '"complained":0' not in seen[1]


def _plain(text: str, own: str, mark: str) -> str:
    for pattern, name in VOLATILE:
        text = re.sub(pattern, name, text)
    for name, shown in ((own, "OWN"), (mark, "MARK")):
        text = text.replace(name, shown).replace(name.upper(), shown)
    return text


async def test_what_a_provider_tells_of_its_domain_is_its_own(stage: Stage) -> None:
    await stage.told(EventType.SENT, "first told", f"{FIRST}.example")
    await stage.counted()
    for name in ("first told", "told later"):
        assert (await stage.write(FIRST, _mail(FIRST, provider="PRV-W", provider_message_id=name)))[0] == 201
    await stage.counted()
    await stage.told(EventType.SENT, "told later", f"{FIRST}.example")
    await stage.told(EventType.DELIVERED, "first told", f"{FIRST}.example")
    await stage.counted()
    body = {"metrics": ["sent", "delivered"]}
    _, answer = await stage.write(FIRST, Request("POST", "/v1/query", body))
    assert json.loads(answer)["data"] == [{"sent": 2, "delivered": 1}]
    assert await stage.db.fetchval("SELECT count(*) FROM message WHERE domain = $1 AND flags & 4 <> 0", FIRST) == 0


async def test_a_campaign_is_all_seen_once_somebody_else_puts_mail_of_the_domain_into_it(stage: Stage) -> None:
    path = f"/api/v1/analytics/campaigns/cmp-{SIBLING}"
    assert (await stage.write(FIRST, get(path)))[0] == 404
    named = {"campaign_id": f"cmp-{SIBLING}", "campaign_name": "Mine"}
    assert (await stage.write(FIRST, _mail(FIRST, **named)))[0] == 201
    await stage.counted()
    assert '"Mine","status":"draft"' in (await stage.write(FIRST, get(path)))[1]
    await stage.town.good(stage.town.keys["admin"], _mail(FIRST, campaign_id=f"cmp-{SIBLING}"))
    await stage.counted()
    assert f'"Plan of {SIBLING}","status":"paused"' in (await stage.write(FIRST, get(path)))[1]
    assert (await stage.write(FIRST, _mail(FIRST, **named)))[0] == 201
    await stage.counted()
    assert '"status":"paused"' in (await stage.write(FIRST, get(path)))[1], "claimed no more"


async def test_others_see_what_a_confined_key_calls_its_campaign_until_they_name_it(stage: Stage) -> None:
    admin = stage.town.keys["admin"]
    for name in ("First", "Then"):
        assert (await stage.write(FIRST, _mail(FIRST, campaign_id="cmp-new", campaign_name=name)))[0] == 201
        await stage.counted()
    path = "/api/v1/analytics/campaigns/cmp-new"
    assert '"Then"' in (await stage.town.raw(admin, get(path)))[2]
    await stage.town.good(admin, Request("PUT", "/v1/campaigns/cmp-new", {"name": "Given"}))
    await stage.counted()
    assert '"Given"' in (await stage.town.raw(admin, get(path)))[2]
    assert '"Then"' in (await stage.write(FIRST, get(path)))[1]
    sent = {
        "type": "sent",
        "message_id": await stage.db.fetchval("SELECT max(id::text) FROM mail WHERE campaign = 'cmp-new'"),
    }
    await stage.town.good(admin, Request("POST", "/v1/events", {"events": [sent]}))
    await stage.counted()
    _, campaign = await stage.write(FIRST, get(path))
    _, _, whole = await stage.town.raw(admin, get(path))
    assert json.loads(campaign)["campaign"]["sent_at"] == json.loads(whole)["campaign"]["sent_at"] is not None


async def test_a_key_without_domains_has_nothing_on_either_side(town: TwoTenants, postgres_dsn: str) -> None:
    async with asyncpg.create_pool(postgres_dsn, min_size=1, max_size=1) as pool:
        number = await pool.fetchval("SELECT number FROM workspace WHERE id = $1", f"ws-{OURS}")
        key = await Workspaces(pool).key(number, "domain_admin", SCOPES)
    status, _, body = await town.raw(key, Request("POST", "/v1/query", paged(None)))
    assert (status, json.loads(body)["data"]) == (200, [])
    assert (await town.raw(key, _mail(OURS)))[0] == 403
    assert (await town.raw(key, _received("", OURS)))[0] == 403
    assert (await town.raw(key, _named_event("sent", "x")))[0] == 403
