"""MX look-ups from end to end: what is registered and what webhooks tell, through the real services."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from postmeter.shared.errors import SettingsError
from postmeter.shared.process.settings import load
from postmeter.tracking.recipients import mailboxes
from postmeter.tracking.recipients.mx_lookups import Bounds
from postmeter.tracking.settings import TrackingSettings
from tests.dns_server import DnsServer, dns_server
from tests.integration.running_gateway import bearer
from tests.waiting import until
from tests.webhooks import postmark
from tests.webhooks.accounts import Postmark
from tests.webhooks.deliveries import raw
from tests.webhooks.posting import WebhookGateway, posting
from tests.webhooks.signatures import basic

GIVEN = {
    "REDIS_URL": "redis://h",
    "INTERNAL_SECRET": "s",
    "TOKEN_KEYS": "1:a",
    "PUBLIC_URL": "https://t.example",
    "SPOOL_DIR": "/spool",
}


@dataclass
class MxLookups:
    """The services, and the DNS server that tracking-service asks."""

    post: WebhookGateway
    dns: DnsServer

    async def providers(self, messages: int) -> dict[str, str]:
        """Mailbox providers by recipients' domains, once so many messages are there."""
        rows: list[Any] = []

        async def reached() -> bool:
            await self.post.bench.counted()
            rows[:] = await self.post.bench.db.fetch(
                "SELECT m.to_domain, s.mailbox_provider FROM message m"
                " JOIN series s ON s.workspace = m.workspace AND s.id = m.series"
            )
            return len(rows) == messages

        await until(reached)
        return {row["to_domain"]: row["mailbox_provider"] for row in rows}

    async def asked(self, domain: str) -> None:
        async def reached() -> bool:
            return domain in self.dns.asked

        await until(reached)


@asynccontextmanager
async def opened(dsn: str, redis_url: str, folder: Path, request_seconds: float) -> AsyncIterator[MxLookups]:
    """request_seconds: what a registration waits for look-ups; a machine under load answers late."""
    async with dns_server() as dns:
        dns.exchangers["company.example"] = ["1 aspmx.l.google.com."]
        dns.exchangers["office.example"] = ["0 office-example.mail.protection.outlook.com."]
        settings = {"mailbox_mx": True, "mailbox_nameservers": f"127.0.0.1:{dns.port}"}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mailboxes, "BOUNDS", Bounds(request_seconds=request_seconds))
            async with posting(dsn, redis_url, folder, **settings) as post:
                yield MxLookups(post, dns)


@pytest.fixture
async def town(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[MxLookups]:
    async with opened(postgres_dsn, redis_url, tmp_path, 20) as made:
        yield made


def delivered(address: str, message: str, ours: str = "") -> bytes:
    fields = {"MessageID": message, "Recipient": address, "DeliveredAt": "2026-11-01T12:00:00Z"}
    record = postmark.record("Delivery", **fields)
    return raw(record | {"Metadata": {"postmeter_id": ours} if ours else {}})


async def test_messages_and_lists_are_registered_with_who_takes_their_mail(town: MxLookups) -> None:
    await town.post.register(to="ada@company.example")
    given = [{"from_address": "news@shop.example", "to": f"bob@{name}"} for name in ("office.example", "gmail.com")]
    url = f"{town.post.gateway}/v1/messages"
    async with town.post.session.post(url, json={"messages": given}, headers=bearer(town.post.key)) as answer:
        assert answer.status == 201
    await town.post.register(to="eve@nobody.example")
    assert await town.providers(4) == {
        "company.example": "google_workspace",
        "office.example": "microsoft_365",
        "gmail.com": "gmail",
        "nobody.example": "",
    }
    assert set(town.dns.asked) == {"company.example", "office.example", "nobody.example"}


async def test_mail_that_only_a_webhook_tells_of_is_named_too(town: MxLookups) -> None:
    door = await town.post.source(Postmark.slug)
    await town.post.take(door, (delivered("ada@company.example", "pm-1"), basic(door.secret)))
    assert await town.providers(1) == {"company.example": "google_workspace"}


async def test_events_of_a_registered_message_ask_for_nothing(town: MxLookups) -> None:
    message = await town.post.register(to="ada@gmail.com")
    door = await town.post.source(Postmark.slug)
    await town.post.take(door, (delivered("ada@company.example", "pm-1", message), basic(door.secret)))
    await town.post.history(1)
    assert not town.dns.asked


async def test_opens_are_answered_while_a_registration_waits(town: MxLookups) -> None:
    await town.post.register(to="ada@company.example")
    url = f"{town.post.gateway}/v1/messages"
    body = {"from_address": "news@shop.example", "to": "ada@gmail.com"}
    async with town.post.session.post(url, json=body, headers=bearer(town.post.key)) as answer:
        opened = urlsplit((await answer.json())["data"]["open_url"]).path
    town.dns.trouble["silent.example"] = "silent"
    waiting = asyncio.create_task(town.post.register(to="eve@a.silent.example"))
    await town.asked("a.silent.example")
    async with aiohttp.ClientSession() as session, session.get(town.post.gateway + opened) as answer:
        assert (answer.status, answer.content_type) == (200, "image/gif")
    assert not waiting.done()
    town.dns.trouble.clear()
    await waiting


async def test_a_registration_is_answered_without_what_comes_too_late(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    async with opened(postgres_dsn, redis_url, tmp_path, 0.05) as town:
        town.dns.trouble["silent.example"] = "silent"
        await town.post.register(to="eve@a.silent.example")
        await town.asked("a.silent.example")
        assert await town.providers(1) == {"a.silent.example": ""}


async def test_nothing_is_asked_unless_it_is_wanted(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    async with dns_server() as dns:
        dns.exchangers["company.example"] = ["1 aspmx.l.google.com."]
        given = {"mailbox_nameservers": f"127.0.0.1:{dns.port}"}
        async with posting(postgres_dsn, redis_url, tmp_path, **given) as post:
            await post.register(to="ada@company.example")
            assert await MxLookups(post, dns).providers(1) == {"company.example": ""}
        assert not dns.asked


@pytest.mark.parametrize(("name", "value"), [("MAILBOX_NAMESERVERS", "dns.example.net"), ("MAILBOX_MX", "perhaps")])
def test_wrong_settings_are_named(name: str, value: str) -> None:
    environ = {f"POSTMETER_{key}": given for key, given in (GIVEN | {name: value}).items()}
    with pytest.raises(SettingsError, match=f"^POSTMETER_{name} takes"):
        load(TrackingSettings, environ)
