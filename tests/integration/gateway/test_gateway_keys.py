"""Who gets in: keys, scopes, roles, revocation, and what happens while Postgres is away."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from multidict import CIMultiDict

from postmeter.gateway.keys import holders as keys
from postmeter.gateway.keys import remembered
from postmeter.shared.auth import api_keys, principal, sealed
from postmeter.shared.auth.principal import Principal
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError, Unavailable
from postmeter.shared.process.settings import PostgresSettings
from postmeter.shared.storage import postgres
from tests import sealing
from tests.integration.running_gateway import bearer, client, gateway, service
from tests.integration.running_query import INTERNAL, PEPPER, Workspaces, workspaces
from tests.integration.stopped_clock import Clock


@dataclass
class Door:
    here: Workspaces
    url: str
    session: aiohttp.ClientSession
    workspace: int
    asked: list[web.Request] = field(default_factory=list)

    async def get(self, path: str, headers: Mapping[str, str]) -> tuple[int, Any, Mapping[str, str]]:
        async with self.session.get(self.url + path, headers=headers) as answer:
            return answer.status, json.loads(await answer.read()), answer.headers

    def principal(self) -> Principal:
        asked = self.asked[-1]
        return sealing.opened(asked.headers, asked.method, asked.raw_path)


@pytest.fixture
async def door(postgres_dsn: str) -> AsyncIterator[Door]:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response({"data": "of the service"})

    async with (
        workspaces(postgres_dsn) as here,
        service(answer) as upstream,
        gateway(postgres_dsn, query_url=upstream, tracking_url=upstream) as url,
        client() as session,
    ):
        yield Door(here, url, session, await here.workspace("ours"), asked)


async def test_a_key_opens_what_it_is_for_and_says_who_asks(door: Door) -> None:
    key = await door.here.key(door.workspace, "domain_admin", ("analytics",), ["a.example", "b.example"])
    status, body, headers = await door.get("/api/v1/analytics", bearer(key) | {"X-Request-Id": "mine-1"})
    assert (status, body) == (200, {"data": "of the service"})
    assert headers["X-Request-Id"] == "mine-1"
    asked = door.principal()
    assert (asked.workspace, asked.workspace_id, asked.role, asked.scopes, asked.domains, asked.request_id) == (
        door.workspace,
        "ours",
        "domain_admin",
        ["analytics"],
        ["a.example", "b.example"],
        "mine-1",
    )
    assert "Authorization" not in door.asked[-1].headers


async def test_what_is_not_a_key_is_refused(door: Door) -> None:
    key = await door.here.key(door.workspace)
    other_id, other = api_keys.new()
    same_id = f"pm_{api_keys.id_of(key)}_{other.rpartition('_')[2][:43]:A<43}"
    for headers in (
        {},
        {"Authorization": ""},
        {"Authorization": key},
        {"Authorization": f"Basic {key}"},
        bearer(""),
        bearer("x"),
        bearer(key[:-1]),
        bearer(key + "A"),
        bearer(other),
        bearer(f"pm_{other_id}_'; DROP TABLE api_key; --"),
        bearer(same_id),
        bearer("é"),
        {"X-Api-Key": key},
        CIMultiDict([("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {other}")]),
    ):
        status, body, answered = await door.get("/api/v1/analytics", headers)
        assert (status, body["error"]["code"], list(body)) == (401, "UNAUTHORIZED", ["error", "meta"])
        assert answered["WWW-Authenticate"] == "Bearer"
        assert body["meta"]["request_id"] == answered["X-Request-Id"]
    assert not door.asked
    assert (await door.get("/api/v1/analytics", {"Authorization": f"bearer  {key}"}))[0] == 200


async def test_a_forged_principal_is_dropped(door: Door) -> None:
    who = Principal(key_id="k", workspace=99, workspace_id="theirs", role="super_admin", scopes=["analytics"])
    forged = sealed.seal(principal.HEADER, who, INTERNAL, "GET", "/api/v1/analytics")
    assert (await door.get("/api/v1/analytics", {principal.HEADER: forged}))[0] == 401
    key = await door.here.key(door.workspace)
    assert (await door.get("/api/v1/analytics", bearer(key) | {principal.HEADER: forged}))[0] == 200
    assert len(door.asked[-1].headers.getall(principal.HEADER)) == 1
    assert door.principal().workspace == door.workspace


@pytest.mark.parametrize(
    ("path", "role", "scopes", "status"),
    [
        ("/api/v1/analytics", "member", ("analytics",), 200),
        ("/api/v1/analytics", "super_admin", ("track", "mail:read"), 403),
        ("/api/v1/tracking/stats", "admin", ("analytics",), 200),
        ("/api/v1/tracking/stats", "super_admin", ("analytics",), 200),
        ("/api/v1/tracking/stats", "member", ("analytics",), 403),
        ("/api/v1/tracking/stats", "domain_admin", ("analytics",), 403),
        ("/api/v1/tracking/stats", "admin", (), 403),
    ],
)
async def test_scopes_and_roles(door: Door, path: str, role: str, scopes: tuple[str, ...], status: int) -> None:
    key = await door.here.key(door.workspace, role, scopes)
    found, body, _ = await door.get(path, bearer(key))
    assert found == status
    assert len(door.asked) == (status == 200)
    if status == 403:
        assert body["error"]["code"] == "FORBIDDEN"


async def test_the_native_envelope_has_no_meta(door: Door) -> None:
    async with door.session.post(f"{door.url}/v1/query", json={}) as answer:
        assert (answer.status, list(await answer.json())) == (401, ["error"])


async def refused(verifier: keys.Keys, key: str) -> int:
    with pytest.raises((RequestError, Unavailable)) as error:
        await verifier.verify(key)
    return error.value.status if isinstance(error.value, RequestError) else 503


async def test_a_revoked_key_is_dead_within_seconds(postgres_dsn: str) -> None:
    async with workspaces(postgres_dsn) as here:
        clock = Clock()
        verifier = keys.Keys(here.pool, PEPPER, clock)
        key = await here.key(await here.workspace())
        await verifier.verify(key)
        await here.pool.execute("UPDATE api_key SET revoked_at = now()")
        clock.now += remembered.FRESH_SECONDS + 0.01
        assert await refused(verifier, key) == 401
        assert remembered.FRESH_SECONDS <= 2.0


async def test_a_look_up_is_remembered_for_a_moment_only(postgres_dsn: str) -> None:
    async with workspaces(postgres_dsn) as here:
        clock = Clock()
        verifier = keys.Keys(here.pool, PEPPER, clock)
        key = await here.key(await here.workspace())
        await verifier.verify(key)
        await here.pool.execute("UPDATE api_key SET role = 'member'")
        assert (await verifier.verify(key)).role == "admin"
        clock.now += remembered.FRESH_SECONDS + 0.01
        assert (await verifier.verify(key)).role == "member"


async def test_another_pepper_knows_no_key(postgres_dsn: str) -> None:
    async with workspaces(postgres_dsn) as here:
        key = await here.key(await here.workspace())
        assert await refused(keys.Keys(here.pool, Secret("another")), key) == 401


async def test_while_postgres_is_away_known_keys_have_a_grace_and_unknown_ones_none(postgres_dsn: str) -> None:
    clock = Clock()
    pool = await asyncpg.create_pool(postgres_dsn, min_size=0, max_size=2)
    here = Workspaces(pool)
    verifier = keys.Keys(pool, PEPPER, clock)
    workspace = await here.workspace()
    known, unknown = await here.key(workspace), await here.key(workspace)
    await verifier.verify(known)
    await pool.close()
    for passed in (remembered.FRESH_SECONDS + 0.1, 30.0, remembered.GRACE_SECONDS - 32.2):
        clock.now += passed
        assert (await verifier.verify(known)).workspace == workspace
        assert await refused(verifier, unknown) == 503
        assert await refused(verifier, known[:-2] + ("AA" if known[-2:] != "AA" else "BB")) == 401
    clock.now += 0.2
    assert await refused(verifier, known) == 503


@pytest.mark.parametrize("bound", [(remembered, "LOOK_UP_SECONDS"), (postgres, "CONNECT_SECONDS")])
async def test_a_postgres_that_takes_connections_and_says_nothing_is_away_too(
    bound: tuple[object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*bound, 0.1)
    silent = await asyncio.start_server(lambda _, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    dsn = Secret(f"postgresql://postmeter@127.0.0.1:{port}/postmeter?sslmode=disable")
    pool = await postgres.connect(PostgresSettings(postgres_dsn=dsn, postgres_pool=1), "gateway", 30)
    key = api_keys.new()[1]
    async with silent, asyncio.timeout(30):
        assert await refused(keys.Keys(pool, PEPPER), key) == 503
    pool.terminate()
