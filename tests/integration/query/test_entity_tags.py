"""ETag and 304 through the gateway: who has an answer already gets its head alone, until it is another."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from postmeter.query.cache import entity_tags
from tests.integration.running_gateway import Line, bearer, gateway, line
from tests.integration.running_query import Fact, Workspaces, query_service, workspaces

DOCUMENTS = (
    "/api/v1/analytics?period=7d",  # Vectis: with a `meta` of each request
    "/v1/metrics/summary?from={since}&to={until}",
    "/api/v1/workspaces/shop/analytics/overview",
    "/api/v1/analytics/overview",
    "/api/v1/mail/stats/daily",
    "/v1/campaigns",
    "/v1/workspace",
)
DAY = timedelta(days=1)
CACHING = ("ETag", "Cache-Control", "Vary", "RateLimit-Limit")


def dated(path: str) -> str:
    """With days around the one 40 days ago; ids of tests must say nothing of the clock."""
    today = datetime.now(UTC).date()
    return path.format(since=today - 45 * DAY, until=today - 35 * DAY)


@dataclass
class Api:
    here: Workspaces
    workspace: int
    connection: Line
    key: dict[str, str]

    async def change(self) -> None:
        now = datetime.now(UTC)
        fact = Fact(now, "c", counters={"sent": 1, "delivered": 1})
        await self.here.add(self.workspace, fact, Fact(now - 40 * DAY, counters={"sent": 1}))
        await self.here.pool.execute("UPDATE workspace SET name = name || 'x' WHERE number = $1", self.workspace)


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with (
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, lambda: datetime.now(UTC)) as url,
        gateway(postgres_dsn, query_url=url) as at,
        line(at) as connection,
    ):
        number = await here.workspace("shop")
        await here.domain(number, "example.com")
        key = bearer(await here.key(number, scopes=("analytics", "mail:read")))
        yield Api(here, number, connection, key)


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_who_has_the_answer_gets_its_head(api: Api, path: str) -> None:
    path = dated(path)
    status, first, body = await api.connection.ask("GET", path, api.key)
    assert (status, first["Cache-Control"], first["Vary"]) == (200, "private, no-cache", "Authorization, Cookie")
    assert body
    has = {**api.key, "If-None-Match": f'"other", {first["ETag"]}'}
    for method in ("HEAD", "GET", "HEAD", "GET"):  # on one connection: a body after the head would break the next
        status, head, _ = await api.connection.ask(method, path, has)
        assert (status, head["ETag"]) == (304, first["ETag"]), method
        assert {name: head.get(name) for name in CACHING} == {name: first.get(name) for name in CACHING}
    assert (await api.connection.ask("GET", path, {**api.key, "If-None-Match": "*"}))[0] == 304
    assert (await api.connection.ask("GET", path, {**api.key, "If-None-Match": 'W/"other"'}))[0] == 200


@pytest.mark.parametrize("path", DOCUMENTS[:3] + DOCUMENTS[6:])
async def test_another_answer_has_another_tag(api: Api, path: str) -> None:
    path = dated(path)
    _, first, _ = await api.connection.ask("GET", path, api.key)
    await api.change()
    status, second, _ = await api.connection.ask("GET", path, {**api.key, "If-None-Match": first["ETag"]})
    assert status == 200
    assert second["ETag"] != first["ETag"]


async def test_a_tag_opens_nothing(api: Api) -> None:
    path = "/v1/campaigns"
    _, first, _ = await api.connection.ask("GET", path, api.key)
    status, head, _ = await api.connection.ask("GET", path, {"If-None-Match": first["ETag"]})
    assert (status, head["Cache-Control"]) == (401, "no-store")


async def test_posts_and_failures_have_none(api: Api) -> None:
    status, head, _ = await api.connection.ask("GET", "/api/v1/workspaces/shop/campaigns/none/analytics", api.key)
    assert (status, head["Cache-Control"], "ETag" in head) == (404, "no-store", False)


def test_tags_are_compared_weakly() -> None:
    tag = entity_tags.of(b"{}")
    assert tag.startswith('W/"')
    strong = tag.removeprefix("W/")
    assert entity_tags.matches(tag, f'  "x" ,{strong} , W/"y"')
    assert entity_tags.matches(tag, "*")
    for other in (None, "", '"x"', strong[:-1], '"*"', f"{strong[1:-1]}"):
        assert not entity_tags.matches(tag, other), other
