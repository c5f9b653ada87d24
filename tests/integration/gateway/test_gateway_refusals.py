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


async def test_refused_requests_are_forgotten(shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[weakref.ref[web.BaseRequest]] = []
    handle = Proxy.handle

    async def noting(self: Proxy, request: web.BaseRequest) -> Any:
        seen.append(weakref.ref(request))
        return await handle(self, request)

    monkeypatch.setattr(Proxy, "handle", noting)
    async with gateway(shared_postgres_dsn) as url, client() as session:
        for path in ("/api/v1/analytics", "/v1/webhooks/mailgun/nothing", "/nothing", "/docs/nothing"):
            for method in ("GET", "DELETE"):
                for _ in range(25):
                    async with session.request(method, url + path) as answer:
                        assert answer.status in (401, 404, 405)
        gc.collect()
        kept = sum(reference() is not None for reference in seen)
    assert len(seen) == 200
    assert kept <= 2  # the connection's last one
