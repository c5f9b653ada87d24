"""What the demo sends to the product, through the API that anybody has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import aiohttp
import msgspec

from postmeter.cli.demo.model.behaviour import Event, Purchase
from postmeter.cli.demo.model.campaigns import Campaign
from postmeter.cli.demo.model.history import Mail, Received
from postmeter.cli.demo.model.moments import stamp
from postmeter.shared.errors import PostmeterError

T = TypeVar("T")
MAILS_AT_ONCE = 1000
EVENTS_AT_ONCE = 2500
REQUESTS_AT_ONCE = 4
PURCHASES_AT_ONCE = 64
PATIENCE = 60.0
"""Seconds for which a request is retried while the product is busy or one of its services restarts."""
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class FeedError(PostmeterError):
    """The product did not take what it was sent; the message has its answer."""


class _Answer(msgspec.Struct):
    rejected: list[msgspec.Raw] = []


class Feed:
    """Sends to one workspace. Everything may be sent again: ids and idempotency keys are the same then."""

    def __init__(self, session: aiohttp.ClientSession, gateway: str, key: str) -> None:
        self._session = session
        self._gateway = gateway
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._turns = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._buyers = asyncio.Semaphore(PURCHASES_AT_ONCE)
        self.mails = self.events = self.purchases = 0
        """How many of each were taken."""

    async def name(self, campaign: Campaign) -> None:
        """Set a campaign's name and status."""
        await self._send("PUT", f"/v1/campaigns/{campaign.id}", {"name": campaign.name, "status": campaign.status})

    async def register(self, mails: Sequence[Mail]) -> None:
        """Make mails known."""
        await self._all("/v1/messages", "messages", [_message(mail) for mail in mails], MAILS_AT_ONCE)
        self.mails += len(mails)

    async def tell(self, events: Iterable[dict[str, Any]]) -> None:
        """Report what happened, as `told` and `received` write it."""
        items = list(events)
        await self._all("/v1/events", "events", items, EVENTS_AT_ONCE)
        self.events += len(items)

    async def buy(self, purchases: Iterable[tuple[str, Purchase]]) -> None:
        """Report purchases, after everything that was reported before them: they are attributed to clicks."""
        async with asyncio.TaskGroup() as group:
            for order, purchase in purchases:
                group.create_task(self._buy(order, purchase))

    async def _buy(self, order: str, purchase: Purchase) -> None:
        async with self._buyers:
            await self._send("POST", "/api/v1/track/purchase", _purchase(order, purchase))
        self.purchases += 1

    async def _all(self, path: str, name: str, items: list[dict[str, Any]], at_once: int) -> None:
        async with asyncio.TaskGroup() as group:
            for part in _parts(items, at_once):
                group.create_task(self._part(path, {name: part}))

    async def _part(self, path: str, body: dict[str, Any]) -> None:
        async with self._turns:
            answer = await self._send("POST", path, body)
        refused = msgspec.json.decode(answer, type=_Answer).rejected
        if refused:
            raise FeedError(f"POST {path}: {len(refused)} items were refused, the first: {bytes(refused[0])!r:.300}")

    async def _send(self, method: str, path: str, body: dict[str, Any]) -> bytes:
        data = msgspec.json.encode(body)
        pause, waited = _PAUSE, 0.0
        while True:
            try:
                async with self._session.request(
                    method, self._gateway + path, data=data, headers=self._headers
                ) as response:
                    answer = await response.read()
                    if response.status < 300:
                        return answer
                    said = f"{response.status} {answer[:300]!r}"
                    if response.status < 500 and response.status not in (408, 429):
                        raise FeedError(f"{method} {path}: {said}")
            except (aiohttp.ClientError, TimeoutError) as error:
                said = repr(error)
            if waited > PATIENCE:
                raise FeedError(f"{method} {path}: no luck within {PATIENCE:.0f} s: {said}")
            await asyncio.sleep(pause)
            waited += pause
            pause = min(2 * pause, _LONGEST_PAUSE)


def told(mail: Mail, key: str, event: Event) -> dict[str, Any]:
    """An event of a mail as `POST /v1/events` takes it."""
    return {"type": event.type, "message_id": mail.id, "id": key, "timestamp": stamp(event.at), **event.more}


def received(item: Received) -> dict[str, Any]:
    """A mail that came in as `POST /v1/events` takes it."""
    return {
        "type": "received",
        "id": item.key,
        "timestamp": stamp(item.at),
        "domain": item.domain,
        "size_bytes": item.size,
        "spam": item.spam,
    }


def _message(mail: Mail) -> dict[str, Any]:
    campaign, person = mail.letter.campaign, mail.letter.person
    return {
        "id": mail.id,
        "campaign_id": campaign.id,
        "campaign_name": campaign.name,
        "from_address": campaign.kind.sender.address,
        "to": person.address,
        "subject": campaign.subject,
        "provider": campaign.kind.sender.provider,
        "template": campaign.kind.template,
        "tags": campaign.kind.tags,
        "created_at": stamp(mail.letter.created),
        "recipient_ref": person.ref,
    }


def _purchase(order: str, purchase: Purchase) -> dict[str, Any]:
    return {
        "contact_email": purchase.address,
        "amount": _money(purchase.cents),
        "currency": purchase.currency,
        "order_id": order,
        "timestamp": stamp(purchase.at),
        "items": [{"name": name, "quantity": 1, "price": _money(cents)} for name, cents in purchase.items],
    }


def _money(cents: int) -> msgspec.Raw:
    """An exact JSON number."""
    return msgspec.Raw(f"{cents // 100}.{cents % 100:02}".encode())


def _parts(items: list[T], size: int) -> Iterator[list[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
