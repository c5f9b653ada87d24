"""Refusals leave nothing behind: anybody without a key can cause as many as they like."""

import gc
import weakref
from typing import Any

import pytest
from aiohttp import web

from postmeter.gateway.keys.holders import Keys
from postmeter.gateway.proxy.proxy import Proxy
from postmeter.gateway.proxy.sources import SourceBook
from postmeter.shared.auth import api_keys
from postmeter.shared.errors import RequestError
from tests.integration.people import people_gateway
from tests.integration.running_gateway import client, gateway
from tests.integration.running_query import PEPPER, workspaces

TIMES = 1_000


def depth(error: BaseException) -> int:
    """How many frames an exception's traceback has."""
    found, traceback = 0, error.__traceback__
    while traceback is not None:
        found, traceback = found + 1, traceback.tb_next
    return found


@pytest.mark.parametrize("key", [None, "", "pm_nonsense", "of nobody"])
async def test_the_thousandth_refused_key_is_as_small_as_the_first(shared_postgres_dsn: str, key: str | None) -> None:
    async with workspaces(shared_postgres_dsn) as here:
        keys = Keys(here.pool, PEPPER)
        depths = []
        for _ in range(TIMES):
            with pytest.raises(RequestError) as refused:
                await keys.verify(api_keys.new()[1] if key == "of nobody" else key)
            depths.append(depth(refused.value))
    assert len(set(depths)) == 1


@pytest.mark.parametrize(("provider", "source_id"), [("mailgun", "no id"), ("mailgun", "src_" + "a" * 20)])
async def test_the_thousandth_unknown_webhook_too(shared_postgres_dsn: str, provider: str, source_id: str) -> None:
    async with workspaces(shared_postgres_dsn) as here:
        book = SourceBook(here.pool)
        depths = []
        for _ in range(TIMES):
            with pytest.raises(RequestError) as refused:
                await book.find(provider, source_id)
            depths.append(depth(refused.value))
    assert len(set(depths)) == 1


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[web.BaseRequest]]:
    """All requests that come to a gateway."""
    found: list[weakref.ref[web.BaseRequest]] = []
    handle = Proxy.handle

    async def noting(self: Proxy, request: web.BaseRequest) -> Any:
        found.append(weakref.ref(request))
        return await handle(self, request)

    monkeypatch.setattr(Proxy, "handle", noting)
    return found


def kept(seen: list[weakref.ref[web.BaseRequest]]) -> int:
    return sum(reference() is not None for reference in seen)


async def test_what_the_gateway_itself_refuses_waits_for_no_look_for_garbage(
    shared_postgres_dsn: str, seen: list[weakref.ref[web.BaseRequest]]
) -> None:
    """Its body would wait as well, and fifty thousand objects come before the next look."""
    async with people_gateway(shared_postgres_dsn) as place:
        key = await place.here.key(place.workspace, "admin", ("privacy",))
        gc.disable()
        try:
            for _ in range(20):
                answer = await place.ask("PUT", "/v1/privacy", {"nothing": 1}, Authorization=f"Bearer {key}")
                assert answer.status == 400
            assert kept(seen) <= 2
        finally:
            gc.enable()


async def test_refused_requests_are_forgotten(
    shared_postgres_dsn: str, seen: list[weakref.ref[web.BaseRequest]]
) -> None:
    async with gateway(shared_postgres_dsn) as url, client() as session:
        for path in ("/api/v1/analytics", "/v1/webhooks/mailgun/nothing", "/nothing", "/docs/nothing"):
            for method in ("GET", "DELETE"):
                for _ in range(25):
                    async with session.request(method, url + path) as answer:
                        assert answer.status in (401, 404, 405)
        gc.collect()
        left = kept(seen)
    assert len(seen) == 200
    assert left <= 2  # the connection's last one
