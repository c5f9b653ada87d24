"""Keys of several tenants and roles through gateway and query-service: nobody sees more than theirs."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from tests.integration.running_gateway import bearer, client, gateway
from tests.integration.running_query import Fact, Workspaces, query_service, workspaces

NOW = datetime.now(UTC)
Seen = tuple[int, Any]


@dataclass
class TwoWorkspaces:
    """Two workspaces with the same domain name, told apart by how much they sent."""

    here: Workspaces
    url: str
    session: aiohttp.ClientSession
    ours: int
    theirs: int
    our_domain: uuid.UUID
    their_domain: uuid.UUID

    async def ask(self, key: str, path: str, body: Any = None) -> Seen:
        method = "GET" if body is None else "POST"
        async with self.session.request(method, self.url + path, headers=bearer(key), json=body) as answer:
            return answer.status, json.loads(await answer.read())


@pytest.fixture
async def town(postgres_dsn: str, redis_url: str) -> AsyncIterator[TwoWorkspaces]:
    async with (
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, NOW) as query,
        gateway(postgres_dsn, query_url=query) as url,
        client() as session,
    ):
        ours, theirs = await here.workspace("ours"), await here.workspace("theirs")
        our_domain, their_domain = await here.domain(ours, "same.example"), await here.domain(theirs, "same.example")
        await here.domain(ours, "other.example")
        await here.add(ours, Fact(NOW, "c", "same.example", counters={"sent": 1}))
        await here.add(ours, Fact(NOW, "c", "other.example", counters={"sent": 10}))
        await here.add(theirs, Fact(NOW, "c", "same.example", counters={"sent": 100}))
        yield TwoWorkspaces(here, url, session, ours, theirs, our_domain, their_domain)


async def test_each_key_sees_its_part_everywhere(town: TwoWorkspaces) -> None:
    keys = {
        11: await town.here.key(town.ours, "member"),
        1: await town.here.key(town.ours, "domain_admin", domains=["same.example"]),
        100: await town.here.key(town.theirs, "super_admin"),
        0: await town.here.key(town.ours, "domain_admin", domains=[]),
    }
    for sent, key in keys.items():
        status, analytics = await town.ask(key, "/api/v1/analytics")
        assert (status, analytics["data"]["totals"]["sent"]) == (200, sent)
        assert sum(domain["sent"] for domain in analytics["data"]["domains"]) == sent
        status, query = await town.ask(key, "/v1/query", {"metrics": ["sent"], "workspace": "theirs"})
        assert (status, query["data"]) == (200, [{"sent": sent}])


async def test_another_tenant_s_domain_does_not_exist(town: TwoWorkspaces) -> None:
    admin = await town.here.key(town.ours)
    domain_admin = await town.here.key(town.ours, "domain_admin", domains=["same.example"])
    path = "/api/v1/analytics?domain_id="
    assert (await town.ask(admin, f"{path}{town.our_domain}"))[0] == 200
    theirs, nobody = [await town.ask(admin, f"{path}{d}") for d in (town.their_domain, uuid.uuid4())]
    assert (theirs[0], theirs[1]["error"]) == (nobody[0], nobody[1]["error"])
    assert theirs[0] == 404
    assert (await town.ask(domain_admin, f"{path}{town.our_domain}"))[0] == 200
    assert (await town.ask(domain_admin, f"{path}{town.their_domain}"))[0] == 403


async def test_a_revoked_key_stops_working_within_seconds(town: TwoWorkspaces) -> None:
    key = await town.here.key(town.ours)
    assert (await town.ask(key, "/api/v1/analytics"))[0] == 200
    await town.here.pool.execute("UPDATE api_key SET revoked_at = now()")
    revoked = time.monotonic()
    while (await town.ask(key, "/api/v1/analytics"))[0] == 200:
        assert time.monotonic() - revoked < 5
    assert (await town.ask(key, "/api/v1/analytics"))[0] == 401
