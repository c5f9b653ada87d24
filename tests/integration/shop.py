"""tracking-service as a process, aggregators, and a contact who reads mail, clicks and buys."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from postmeter.shared.auth.principal import Principal
from tests import sealing
from tests.aggregation import Bench, bench
from tests.integration.tracking_service import SHARDS, WORKSPACE, Service

LANDING = "https://shop.example/spring?a=1"
HTML = f'<p><a href="{LANDING}">Look</a></p>'
Answer = tuple[int, Any]


class Shop:
    """The whole way in: requests go to a real tracking-service, a real aggregator counts what it took."""

    def __init__(self, at: Bench, service: Service, session: aiohttp.ClientSession) -> None:
        self.at = at
        self.service = service
        self.session = session
        self.url = f"http://127.0.0.1:{service.port}"

    def headers(self, role: str = "admin", scopes: tuple[str, ...] = ("track",)) -> dict[str, str]:
        principal = Principal(key_id="k", workspace=WORKSPACE, workspace_id="w", role=role, scopes=list(scopes))
        return sealing.named(principal)

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        given: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.session.post(self.url + path, headers=headers or self.headers(), **given) as answer:
            return answer.status, await answer.json()

    async def mail(self, contact: str, campaign: str | None, **changes: Any) -> str:
        """Register a message; returns the path of its link."""
        body = {"from_address": "news@shop.example", "to": contact, "campaign_id": campaign, "html": HTML, **changes}
        status, answer = await self.post("/v1/messages", body)
        assert status == 201, answer
        found: str = answer["data"]["links"][0]["tracking_url"].removeprefix("http://t.example.net")
        return found

    async def click(self, link: str, agent: str = "Thunderbird") -> None:
        async with self.session.get(self.url + link, headers={"User-Agent": agent}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, LANDING)

    async def buy(self, contact: str, amount: Any = 99.99, **changes: Any) -> Answer:
        body = {"contact_email": contact, "amount": amount, "currency": "USD", **changes}
        return await self.post("/api/v1/track/purchase", body)

    async def bought(self, contact: str, amount: Any = 99.99, **changes: Any) -> Any:
        """The campaign that an order is attributed to; it is sent again until that is known."""
        changes = {"order_id": uuid.uuid4().hex, **changes}
        while True:
            status, answer = await self.buy(contact, amount, **changes)
            if status != 503:
                break
            assert answer["error_type"] == "UNAVAILABLE"
        assert status == 200, answer
        assert answer["success"] is True
        assert answer["event_id"].startswith("evt_")
        return answer["attributed_campaign_id"]


@contextlib.asynccontextmanager
async def shop(dsn: str, url: str, folder: Path, **settings: Any) -> AsyncIterator[Shop]:
    """A shop without an aggregator."""
    service = await asyncio.to_thread(Service, url, folder / "spool", **settings)
    try:
        async with bench(dsn, url) as at, sealing.session() as session:
            yield Shop(at, service, session)
    finally:
        service.kill()


@contextlib.asynccontextmanager
async def open_shop(dsn: str, url: str, folder: Path, **settings: Any) -> AsyncIterator[Shop]:
    """A shop whose numbers are counted."""
    async with shop(dsn, url, folder, **settings) as here, here.at.aggregator(shards=SHARDS):
        yield here
