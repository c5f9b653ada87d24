"""Two tenants of two domains each whose every label tells whose it is, and a request to every endpoint."""

import json
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from yarl import URL

from postmeter.shared.storage import uuid7
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Record
from tests.aggregation import bench, event, hit, registration
from tests.integration.endpoint_requests import (
    NOBODY,
    NOW,
    OURS,
    SCOPES,
    SIBLING,
    THEIRS,
    Ids,
    Request,
    get,
    keyed,
    paged,
    purchase,
)
from tests.integration.running_gateway import bearer, client, gateway
from tests.integration.running_query import ANSWER_CACHE, Workspaces, query_service
from tests.integration.tracking_service import SHARDS, Service
from tests.oracle.feeding import feeder
from tests.oracle.stories import Story, micros


@dataclass
class Answer:
    """What came back. body: without what differs from one request to the next."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass
class TwoTenants:
    """The product's gateway, query-service and tracking-service over both tenants."""

    url: str
    session: aiohttp.ClientSession
    ids: dict[str, Ids] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)

    async def raw(self, key: str | None, request: Request) -> tuple[int, dict[str, str], str]:
        headers = bearer(key) if key else {}
        url = URL(self.url + request.path, encoded=True)
        async with self.session.request(
            request.method, url, headers=headers, json=request.body, allow_redirects=False
        ) as answer:
            return answer.status, dict(answer.headers), await answer.text("utf-8", "replace")

    async def good(self, key: str, request: Request) -> Any:
        """What is answered; a purchase whose campaign is not known in time says so, and is sent again."""
        status, _, text = await self.raw(key, request)
        for _ in range(20):
            if status != 503:
                break
            status, _, text = await self.raw(key, request)
        assert status < 300, text
        return json.loads(text)


def records_of(mark: str, n: int, first: bytes) -> list[Record]:
    """What one domain did: messages of two campaigns, opened, clicked, bounced, complained of; mail that came in."""
    at = micros(NOW) - 3_600_000_000
    found: list[Record] = []
    for k in range(3):
        one = registration(
            100 * n + k,
            message=uuid7.new().bytes if k else first,
            created=at,
            at=at + k,
            campaign=f"cmp-{mark}" if k < 2 else f"cmp-{mark}-b",
            campaign_name=f"Name {mark}" if k < 2 else f"Name {mark} b",
            from_domain=f"{mark}.example",
            from_address=f"news@{mark}.example",
            subject=f"Secret of {mark}",
            provider=f"PRV-{mark.upper()}",
            provider_message=mark if k == 0 else f"{mark}-{k}",
            template=f"tpl-{mark}",
            tags=[f"tag-{mark}"],
            recipient_ref=f"ref-{mark}",
        )
        found.append(one)
        for kind in (EventType.SENT, EventType.DELIVERED, EventType.COMPLAINED, EventType.REPLIED):
            found.append(event(kind, at=at + 1000 * kind + n, message=one.message))
        found.append(event(EventType.BOUNCED, at=at + 5, message=one.message, bounce=1, reason=f"5.1.1 {mark}"))
        found += [
            hit(0, at + 7, message=one.message),
            hit(0, at + 8, message=one.message, url=f"https://link.example/{mark}"),
        ]
    found.append(event(EventType.RECEIVED, at=at, domain=f"{mark}.example", size_bytes=10, spam=True))
    return found


async def settle(dsn: str, here: Workspaces) -> dict[str, Ids]:
    """Make both tenants and what they have, by the real aggregator."""
    made: dict[str, Ids] = {}
    async with feeder(dsn) as feeding:
        for tenant, marks in (("zqmine", (OURS, SIBLING)), ("zqthem", (THEIRS, "zqthe2"))):
            workspace = f"ws-{tenant}"
            number = await here.workspace(workspace)
            for n, mark in enumerate(marks):
                message = uuid7.new().bytes
                found = records_of(mark, n, message)
                await feeding.feed(Story(NOW, found), number, random.Random(n))
                query = "SELECT id FROM domain WHERE workspace = $1 AND name = $2"
                domain = await here.pool.fetchval(query, number, f"{mark}.example")
                made[mark] = Ids(mark, workspace, str(domain), str(uuid.UUID(bytes=message)))
    made[NOBODY] = Ids(NOBODY, f"ws-{NOBODY}", str(uuid7.new()), str(uuid7.new()))
    return made


async def make_keys(here: Workspaces) -> dict[str, str]:
    """Keys of every role and of odd domains, all of the first tenant; and one of the other."""
    query = "SELECT number FROM workspace WHERE id = $1"
    ours, theirs = [await here.pool.fetchval(query, f"ws-{mark}") for mark in (OURS, THEIRS)]
    found = {role: await here.key(ours, role, SCOPES) for role in ("super_admin", "admin", "member")}
    for name, domains in (
        ("confined", [f"{OURS}.example"]),
        ("confined to none", []),
        ("confined to another tenant's", [f"{THEIRS}.example"]),
    ):
        found[name] = await here.key(ours, "domain_admin", SCOPES, domains)
    found["without scopes"] = await here.key(ours, "admin", ())
    found["theirs"] = await here.key(theirs, "super_admin", SCOPES)
    return found


async def make_exports(town: TwoTenants) -> None:
    """An export, an order and cursors of each tenant; nobody's are of the same form."""
    for mark, key in ((OURS, town.keys["admin"]), (THEIRS, town.keys["theirs"])):
        ids = town.ids[mark]
        body = {"export_type": "messages"}
        ordered = await town.good(key, Request("POST", f"/api/v1/workspaces/{ids.workspace}/analytics/export", body))
        page = await town.good(key, Request("POST", "/v1/query", paged(None)))
        campaigns = await town.good(key, get("/v1/campaigns", limit="1"))
        messages = await town.good(key, Request("POST", "/v1/messages/search", {"limit": 1}))
        for months in (60, 61):
            await town.good(key, Request("PUT", "/v1/privacy", {"retention": {"consent_months": months}}))
        audit = await town.good(key, get("/v1/audit", limit="1"))
        source = await town.good(key, Request("POST", "/v1/sources", {"provider": "postmark", "name": f"src-{mark}"}))
        erasure = await town.good(key, Request("POST", "/v1/recipients/erase", {"to": f"gone-{mark}@c.example"}))
        # The other tenant's key and order are of something else: the same ones of ours would be conflicts, were they
        # looked for there.
        await town.good(key, Request("POST", "/v1/events", keyed(mark, mark)))
        amount = "12.50" if mark == OURS else "99"
        await town.good(key, Request("POST", "/api/v1/track/purchase", purchase(mark, amount)))
        town.ids[mark] = replace(
            ids,
            export=ordered["data"]["export_id"],
            cursor=page["next_cursor"],
            campaigns_cursor=campaigns["next_cursor"],
            search_cursor=messages["next_cursor"],
            audit_cursor=audit["next_cursor"],
            source=source["data"]["id"],
            erasure=erasure["data"]["id"],
            ip=f"9.9.9.{1 if mark == OURS else 2}",
        )
        await town.good(key, Request("POST", "/v1/sending-ips", {"ips": [town.ids[mark].ip]}))
    for mark, key in ((OURS, town.keys["admin"]), (SIBLING, town.keys["admin"]), (THEIRS, town.keys["theirs"])):
        town.ids[mark] = replace(town.ids[mark], **await who_comes_in(town, mark, key))
    for mark, key in ((OURS, "super_admin"), (SIBLING, "admin"), (THEIRS, "theirs")):
        town.ids[mark] = replace(town.ids[mark], session=await session_of(town, town.keys[key]))
    other = await town.good(town.keys["admin"], Request("POST", "/v1/query", {**paged(None), "metrics": ["opens"]}))
    ours = town.ids[OURS]
    nobody_s = {"export": f"exp_{'0' * (len(ours.export) - 4)}", "cursor": other["next_cursor"]}
    nobody_s["source"] = f"src_{'0' * 20}"
    nobody = {"user": str(uuid.uuid4()), "key": "0" * 16, "session": str(uuid.uuid4())}
    # Nobody's cursor: one of another question; one that nobody signed.
    nobody_s["campaigns_cursor"] = nobody_s["search_cursor"] = nobody_s["audit_cursor"] = other["next_cursor"]
    town.ids[NOBODY] = replace(town.ids[NOBODY], **nobody_s, **nobody)
    town.ids[SIBLING] = replace(town.ids[SIBLING], **nobody_s)


async def session_of(town: TwoTenants, key: str) -> str:
    """The id of a session that was begun with the key."""
    status, _, _ = await town.raw(None, Request("POST", "/session", {"api_key": key}))
    assert status == 204
    (begun,) = (await town.good(key, get("/sessions")))["data"]
    return str(begun["id"])


async def who_comes_in(town: TwoTenants, mark: str, key: str) -> dict[str, str]:
    """A user and a key of one domain."""
    domains = [f"{mark}.example"]
    user = {"email": f"usr-{mark}@c.example", "role": "viewer", "domains": domains}
    made = {"role": "domain_admin", "scopes": ["track"], "domains": domains, "name": f"key-{mark}"}
    return {
        "user": (await town.good(key, Request("POST", "/v1/users", user)))["data"]["id"],
        "key": (await town.good(key, Request("POST", "/v1/keys", made)))["data"]["id"],
    }


@asynccontextmanager
async def isolated_town(
    dsn: str, redis_url: str, folder: Path, answer_cache: int = ANSWER_CACHE
) -> AsyncIterator[TwoTenants]:
    """Everything running; `statements` are those that query-service sends to Postgres. answer_cache: bytes of answers
    that it keeps, for which it sends none; 0: each question is asked of Postgres.
    """
    statements: list[str] = []

    async def listen(connection: Any) -> None:
        connection.add_query_logger(lambda record: statements.append(record.query))

    tracking = Service(redis_url, folder / "spool", postgres_dsn=dsn, source_key="of the town")
    try:
        async with (
            asyncpg.create_pool(dsn, min_size=1, max_size=4, init=listen) as pool,
            query_service(Workspaces(pool), redis_url, NOW, answer_cache=answer_cache) as query,
            gateway(dsn, query_url=query, tracking_url=f"http://127.0.0.1:{tracking.port}") as url,
            client() as session,
        ):
            here = Workspaces(pool)
            town = TwoTenants(url, session, await settle(dsn, here), await make_keys(here), statements)
            async with bench(dsn, redis_url) as counting, counting.aggregator(shards=SHARDS):
                await make_exports(town)
                yield town
    finally:
        tracking.terminate()
