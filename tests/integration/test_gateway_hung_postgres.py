"""A Postgres that hangs, behind what the gateway does itself: each request ends, and says what is known of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from postmeter.gateway.keys import remembered
from postmeter.gateway.people import people
from postmeter.gateway.proxy import own_answers
from tests.integration.postgres_line import PostgresLine, postgres_line
from tests.integration.running_gateway import bearer, gateway
from tests.integration.running_query import Workspaces, workspaces
from tests.product import PATIENCE

NEW = {"name": "a new one", "role": "member", "scopes": ["analytics"]}


@dataclass(frozen=True)
class Shop:
    """A gateway on a line to Postgres, and one of its admins."""

    here: Workspaces
    line: PostgresLine
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, str | None]:
        """Status, body, Retry-After."""
        async with asyncio.timeout(PATIENCE), self.http.request(method, path, json=body) as answer:
            return answer.status, await answer.json(), answer.headers.get("Retry-After")

    async def keys(self) -> list[str]:
        return [row["name"] for row in await self.here.pool.fetch("SELECT name FROM api_key WHERE name <> ''")]


@pytest.fixture
async def shop(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Its statements may take for ever, and it knows its admin: so that nothing but the time limit ends a request."""
    monkeypatch.setattr(people, "STATEMENT_SECONDS", 10 * PATIENCE)
    monkeypatch.setattr(remembered, "FRESH_SECONDS", 10 * PATIENCE)
    async with workspaces(postgres_dsn) as here, postgres_line(postgres_dsn) as line, gateway(line.dsn) as url:
        scopes = ("analytics", "access")
        headers = bearer(await here.key(await here.workspace("shop"), scopes=scopes))
        async with aiohttp.ClientSession(url, headers=headers) as http:
            made = Shop(here, line, http)
            assert (await made.ask("GET", "/v1/keys"))[0] == 200
            monkeypatch.setattr(own_answers, "SECONDS", 0.3)
            yield made
            line.is_dead = False


async def test_requests_end_and_nothing_was_changed(shop: Shop) -> None:
    """More of them than there are connections."""
    shop.line.is_dead = True
    asked = [shop.ask("POST", "/v1/keys", NEW) for _ in range(2 * people.CONNECTIONS)]
    answers = await asyncio.gather(*asked, shop.ask("GET", "/v1/keys"))
    assert {(status, body["error"]["code"], again) for status, body, again in answers} == {(503, "UNAVAILABLE", "1")}
    assert all("nothing was changed" in body["error"]["message"] for _, body, _ in answers)
    assert await shop.keys() == []


async def test_who_cannot_know_whether_it_was_done_says_so(shop: Shop) -> None:
    shop.line.dies_after = b"COMMIT"
    status, body, again = await shop.ask("POST", "/v1/keys", NEW)
    assert (status, body["error"]["code"], again) == (504, "GATEWAY_TIMEOUT", None)
    assert "is not known" in body["error"]["message"]
    assert await shop.keys() == ["a new one"]
