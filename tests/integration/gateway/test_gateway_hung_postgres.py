"""A Postgres that hangs, behind what people change: each request ends, and says what is known of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from postmeter.gateway import own_endpoints
from postmeter.gateway.keys import remembered
from postmeter.shared.auth.secret import Secret
from postmeter.shared.http import changes
from postmeter.tracking import parts
from tests.integration.postgres_line import PostgresLine, postgres_line
from tests.integration.running_gateway import bearer, gateway
from tests.integration.running_query import Workspaces, workspaces
from tests.product import PATIENCE
from tests.roles import of_service
from tests.webhooks.posting import running_tracking

NEW = {"name": "a new one", "role": "member", "scopes": ["analytics"]}
SOURCE = {"provider": "postmark", "name": "a new one"}
KINDS = [("/v1/keys", NEW), ("/v1/sources", SOURCE)]
"""What the gateway changes itself, and what tracking-service does."""


@dataclass(frozen=True)
class Shop:
    """A gateway and a tracking-service on a line to Postgres, and one of its admins."""

    here: Workspaces
    line: PostgresLine
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, str | None]:
        """Status, body, Retry-After."""
        async with asyncio.timeout(PATIENCE), self.http.request(method, path, json=body) as answer:
            return answer.status, await answer.json(), answer.headers.get("Retry-After")

    async def new(self) -> list[str]:
        """The names of keys and sources that were made."""
        query = "SELECT name FROM api_key WHERE name <> '' UNION ALL SELECT name FROM webhook_source"
        return [row["name"] for row in await self.here.pool.fetch(query)]


@pytest.fixture
async def shop(
    postgres_dsn: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    """Its statements may take for ever, and it knows its admin: so that nothing but the time limit ends a request."""
    monkeypatch.setattr(own_endpoints, "STATEMENT_SECONDS", 10 * PATIENCE)
    monkeypatch.setattr(parts, "SOURCE_SECONDS", 10 * PATIENCE)
    monkeypatch.setattr(remembered, "FRESH_SECONDS", 10 * PATIENCE)
    async with workspaces(postgres_dsn) as here, postgres_line(postgres_dsn) as line, AsyncExitStack() as running:
        known = {"postgres_dsn": Secret(of_service(line.dsn, "tracking"))}
        tracking = await running.enter_async_context(running_tracking(redis_url, 1, tmp_path, known))
        url = await running.enter_async_context(gateway(line.dsn, tracking_url=tracking))
        scopes = ("analytics", "access", "track")
        headers = bearer(await here.key(await here.workspace("shop"), scopes=scopes))
        async with aiohttp.ClientSession(url, headers=headers) as http:
            made = Shop(here, line, http)
            for path in ("/v1/keys", "/v1/sources"):
                assert (await made.ask("GET", path))[0] == 200
            monkeypatch.setattr(changes, "SECONDS", 0.3)
            yield made
            line.is_dead = False


@pytest.mark.parametrize(("path", "body"), KINDS)
async def test_requests_end_and_nothing_was_changed(shop: Shop, path: str, body: Any) -> None:
    """More of them than there are connections."""
    shop.line.is_dead = True
    asked = [shop.ask("POST", path, body) for _ in range(2 * own_endpoints.CONNECTIONS)]
    answers = await asyncio.gather(*asked, shop.ask("GET", path))
    assert {(status, body["error"]["code"], again) for status, body, again in answers} == {(503, "UNAVAILABLE", "1")}
    assert all("nothing was changed" in body["error"]["message"] for _, body, _ in answers)
    assert await shop.new() == []


@pytest.mark.parametrize(("path", "body"), KINDS)
async def test_who_cannot_know_whether_it_was_done_says_so(shop: Shop, path: str, body: Any) -> None:
    shop.line.dies_after = b"COMMIT"
    status, body, again = await shop.ask("POST", path, body)
    assert (status, body["error"]["code"], again) == (504, "GATEWAY_TIMEOUT", None)
    assert "is not known" in body["error"]["message"]
    assert await shop.new() == ["a new one"]
