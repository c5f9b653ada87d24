"""Nothing that callers and providers write leaves a recipient's address, or a client's whole one, behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postmeter.shared.stream.events import EventType
from tests.aggregation import Bench
from tests.integration.running_gateway import bearer
from tests.webhooks import sendgrid
from tests.webhooks.accounts import SendGrid, now
from tests.webhooks.posting import WebhookGateway, posting

SECRET = "qqsecretqq"
ADDRESS = f"{SECRET}@mail.example"
SAID = f"550 5.1.1 <{ADDRESS}>: Recipient address rejected: user unknown"
KEPT = "550 5.1.1 <***@mail.example>: Recipient address rejected: user unknown"
UNKNOWN = "0192abc0-def1-7000-8000-00000000000f"
CLIENT = "203.0.113.77"


@pytest.fixture
async def post(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[WebhookGateway]:
    async with posting(postgres_dsn, redis_url, tmp_path) as found:
        yield found


async def events(post: WebhookGateway, *items: Any) -> Any:
    url = f"{post.gateway}/v1/events"
    async with post.session.post(url, json={"events": items}, headers=bearer(post.key)) as answer:
        assert answer.status < 500
        return json.loads(await answer.read())


async def rows(at: Bench) -> list[str]:
    """Every row of every table, as text and its bytes as they are."""
    tables = await at.db.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    found = []
    for table in tables:
        for row in await at.db.fetch(f"SELECT * FROM {table['name']}"):
            found.append(" ".join(v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row.values()))
    return found


async def redis_holds(at: Bench) -> list[bytes]:
    names: Any = await at.client.keys("*")  # bytes, as all here: this client decodes nothing
    found = list[bytes]()
    for name in names:
        found += [name, await at.client.dump(name) or b""]
        if await at.client.type(name) == b"stream":
            entries: Any = await at.client.xrange(name)
            found += [value for _, fields in entries for value in fields.values()]
    return found


async def test_a_recipient_s_address_gets_nowhere(post: WebhookGateway, tmp_path: Path) -> None:
    account = SendGrid()
    door = await post.source("sendgrid", account.secret)
    message = await post.register()
    bounce = sendgrid.event("bounce", timestamp=int(now()), postmeter_id=message, reason=SAID, type="bounce")
    call = account.signed(
        [
            bounce | {"email": ADDRESS},
            {"email": ADDRESS, "timestamp": int(now())},  # says nothing
            {"event": f"new kind for {ADDRESS}", "email": ADDRESS, "sg_event_id": "n1", "timestamp": int(now())},
        ]
    )
    assert (await post.take(door, call))["accepted"] == 2
    told = {"type": "bounced", "bounce_type": "hard", "message_id": message, "reason": SAID}
    assert (await events(post, told))["accepted"] == 1
    await events(
        post,
        told | {"bounce_type": ADDRESS},
        told | {f"field of {ADDRESS}": 1},
        {"type": ADDRESS, "message_id": message},
        told | {"type": 5, "recipient": f"{SECRET}%40mail.example"},
        told | {"message_id": UNKNOWN},
    )
    # Both are two of the same message and would count; history tells what is kept.
    history = await post.history(3)
    assert sorted(row["reason"] for row in history) == sorted([KEPT, KEPT, "new kind for ***@mail.example"])
    letters = await post.dead_letters()
    assert len(letters) == 5
    assert any("did you mean" not in letter["reason"] and "***@mail.example" in letter["reason"] for letter in letters)
    assert await post.bench.value("SELECT count(*) FROM waiting") == 1
    assert (
        await post.bench.value("SELECT reason FROM bounce_reason_1d WHERE series <> 0 LIMIT 1") == "Invalid recipient"
    )
    assert not [row for row in await rows(post.bench) if SECRET in row]
    assert not [held for held in await redis_holds(post.bench) if SECRET.encode() in held]
    spooled = await asyncio.to_thread(lambda: [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()])
    assert not [held for held in spooled if SECRET.encode() in held]


async def test_a_client_s_address_that_waits_is_cut_and_judged_all_the_same(post: WebhookGateway) -> None:
    """Of an event before its message, and in dead letters of every kind; on both ways an event comes."""
    account = SendGrid()
    door = await post.source("sendgrid", account.secret)
    scanner = "40.92.36.77"  # of a network that ships as a scanner's
    opened = {"type": "opened", "message_id": UNKNOWN, "user_agent": "Mozilla/5.0 (Windows NT 10.0)", "ip": CLIENT}
    await events(
        post,
        opened,
        opened | {"ip": scanner},
        opened | {"no such field": 1},
        opened | {"ip": "2001:db8:1:2::7", "x": 1},
    )
    hit = sendgrid.event(
        "click",
        timestamp=int(now()),
        postmeter_id=UNKNOWN,
        ip=CLIENT,
        url="https://a.example/",
        useragent="Mozilla/5.0",
    )
    assert (await post.take(door, account.signed([hit, {"ip": CLIENT, "timestamp": 5}])))["accepted"] == 1
    assert len(await post.dead_letters()) == 3
    assert await post.bench.value("SELECT count(*) FROM waiting") == 3
    stored = " ".join(await rows(post.bench))
    for whole in (CLIENT, scanner, "2001:db8:1:2::7"):
        assert whole not in stored
    assert "203.0.113.0" in stored
    assert "2001:db8:1::" in stored
    await post.register(id=UNKNOWN)
    history = await post.history(3)
    kinds = {(EventType(row["type"]), str(row["ip"]), row["verdict_reason"]) for row in history}
    at_once = await verdict_of(post, scanner)
    assert at_once == "network:microsoft"
    assert kinds == {
        (EventType.OPENED, "203.0.113.0", None),
        (EventType.OPENED, "40.92.36.0", at_once),
        (EventType.CLICKED, "203.0.113.0", "own_tracking_counts"),
    }


async def verdict_of(post: WebhookGateway, ip: str) -> str | None:
    """The reason of the same open's verdict where its message is known."""
    other = await post.register()
    await events(post, {"type": "opened", "message_id": other, "user_agent": "Mozilla/5.0 (Windows NT 10.0)", "ip": ip})
    await post.history(4)
    reason = await post.bench.value("SELECT verdict_reason FROM history WHERE message = $1::uuid", other)
    return None if reason is None else str(reason)
