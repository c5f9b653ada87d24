"""Purchases from the request to the rollups: attributed, counted once, answered (semantics.md, ADR 0022)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.shop import Shop, open_shop, shop
from tests.integration.tracking_service import SHARDS, WORKSPACE

ADA = "Ada@Mail.example"


@pytest.fixture
async def here(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(postgres_dsn, redis_url, tmp_path) as made:
        yield made


async def revenue(here: Shop, table: str = "conversion_15m") -> dict[tuple[str, str], tuple[int, Decimal]]:
    """(conversions, revenue) by campaign and currency; the series TOTAL must say the same."""
    rows = await here.at.db.fetch(
        f"SELECT s.campaign, c.currency, sum(c.conversions)::bigint AS n, sum(c.revenue) AS revenue FROM {table} c"
        " JOIN series s ON s.workspace = c.workspace AND s.id = c.series GROUP BY 1, 2"
    )
    totals = await here.at.db.fetch(
        f"SELECT currency, sum(conversions)::bigint AS n, sum(revenue) AS revenue FROM {table} WHERE series = 0"
        " GROUP BY 1"
    )
    for total in totals:
        mine = [row for row in rows if row["currency"] == total["currency"]]
        assert (sum(r["n"] for r in mine), sum(r["revenue"] for r in mine)) == (total["n"], total["revenue"])
    assert {row["currency"] for row in rows} == {total["currency"] for total in totals}
    return {(row["campaign"], row["currency"]): (row["n"], row["revenue"]) for row in rows}


async def test_the_document_s_example(here: Shop) -> None:
    await here.click(await here.mail("user@example.com", "camp_abc123"))
    status, answer = await here.post(
        "/api/v1/track/purchase",
        {
            "contact_email": "user@example.com",
            "amount": 99.99,
            "currency": "USD",
            "order_id": "order_12345",
            "items": [{"name": "Pro Plan", "quantity": 1, "price": 99.99}],
        },
    )
    assert status == 200
    assert answer == {"success": True, "event_id": answer["event_id"], "attributed_campaign_id": "camp_abc123"}
    for table in ("conversion_15m", "conversion_1h", "conversion_1d"):
        assert await revenue(here, table) == {("camp_abc123", "USD"): (1, Decimal("99.99"))}
    row = await here.at.db.fetchrow("SELECT * FROM purchase")
    assert row is not None
    assert (row["order_id"], row["currency"], row["amount"]) == ("order_12345", "USD", Decimal("99.99"))
    assert row["items"] == '[{"name": "Pro Plan", "price": 99.99, "quantity": 1}]'


async def test_the_last_click_on_a_campaign_decides(here: Shop) -> None:
    spring, summer, invoice = [await here.mail(ADA, name) for name in ("spring", "summer", None)]
    other = await here.mail("bob@mail.example", "autumn")
    assert await here.bought(ADA) is None
    await here.click(spring)
    await here.click(summer)
    await here.click(other)
    await here.click(invoice)
    assert await here.bought(" ada@mail.example ") == "summer"
    await here.click(spring)
    assert await here.bought(ADA) == "spring"
    assert await here.bought("carol@mail.example") is None
    assert await revenue(here) == {
        ("", "USD"): (2, Decimal("199.98")),
        ("spring", "USD"): (1, Decimal("99.99")),
        ("summer", "USD"): (1, Decimal("99.99")),
    }


async def test_opens_and_machines_clicks_do_not_attribute(here: Shop) -> None:
    body = {"from_address": "news@shop.example", "to": ADA, "campaign_id": "spring", "html": "<p>Hi</p>"}
    _, answer = await here.post("/v1/messages", body)
    async with here.session.get(here.url + answer["data"]["open_url"].removeprefix("http://t.example.net")):
        pass
    link = await here.mail(ADA, "summer")
    headers = {"Sec-Purpose": "prefetch"}
    async with here.session.get(here.url + link, headers=headers, allow_redirects=False) as clicked:
        assert clicked.status == 302
    assert await here.bought(ADA) is None


async def test_clicks_that_are_history_only_do_not_attribute(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    """A source says that its provider's clicks count: ours do not, for mail of that provider."""
    async with shop(postgres_dsn, redis_url, tmp_path) as here:
        await here.at.db.execute(
            "INSERT INTO workspace (number, id, name) OVERRIDING SYSTEM VALUE VALUES ($1, 'w', 'w')", WORKSPACE
        )
        await here.at.db.execute(
            "INSERT INTO webhook_source (id, workspace, provider, name, secret, engagement)"
            " VALUES ('s', $1, 'sendgrid', '', '', 'provider')",
            WORKSPACE,
        )
        async with here.at.aggregator(shards=SHARDS):
            await here.click(await here.mail(ADA, "spring", provider="postmark"))
            await here.click(await here.mail(ADA, "summer", provider="sendgrid"))
            assert await here.bought(ADA) == "spring"


async def test_seven_days_to_the_microsecond(here: Shop) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    clicked = now - timedelta(days=10)
    campaigns = {}
    for name in ("spring", "summer"):
        body = {"from_address": "news@shop.example", "to": ADA, "campaign_id": name}
        _, answer = await here.post("/v1/messages", body)
        event = {"type": "clicked", "message_id": answer["data"]["id"], "timestamp": clicked.isoformat()}
        assert (await here.post("/v1/events", {"events": [event]}))[0] == 202
        campaigns[answer["data"]["id"]] = name
    later = campaigns[max(campaigns)]  # of two clicks at once the later message's counts
    week, tick = timedelta(days=7), timedelta(microseconds=1)
    for at, campaign in (
        (clicked - tick, None),
        (clicked, later),
        (clicked + week, later),
        (clicked + week + tick, None),
        (now, None),
    ):
        assert await here.bought(ADA, timestamp=at.isoformat()) == campaign, at
    buckets = await here.at.db.fetch("SELECT bucket FROM conversion_1d WHERE series = 0")
    assert {row["bucket"].date() for row in buckets} >= {clicked.date(), (clicked + week).date(), now.date()}


async def test_an_order_counts_once(here: Shop) -> None:
    await here.click(await here.mail(ADA, "spring"))
    first = await here.buy(ADA, 10, order_id="o-1")
    assert first[0] == 200
    await here.click(await here.mail(ADA, "summer"))
    assert await here.buy(ADA, 10.00, order_id="o-1") == first
    await here.at.counted()  # the click, before the streams are gone
    await here.at.client.flushdb()  # what was said of it is forgotten; the aggregator knows
    assert await here.buy(f"<{ADA.lower()}>", 10, order_id="o-1") == first
    for changes in ({"amount": 11}, {"currency": "EUR"}, {"contact_email": "bob@mail.example"}):
        body = {"contact_email": ADA, "amount": 10, "currency": "USD", "order_id": "o-1"}
        status, answer = await here.post("/api/v1/track/purchase", body | changes)
        assert (status, answer["success"], answer["error_type"]) == (409, False, "ORDER_CONFLICT")
        assert answer["error"].startswith("order_id: ")
    again = await here.buy(ADA, 10, order_id="o-2")
    assert again[1]["event_id"] != first[1]["event_id"]
    assert again[1]["attributed_campaign_id"] == "summer"
    assert await revenue(here) == {("spring", "USD"): (1, Decimal(10)), ("summer", "USD"): (1, Decimal(10))}


async def test_an_order_sent_many_times_at_once_counts_once(here: Shop) -> None:
    await here.click(await here.mail(ADA, "spring"))
    answers = await asyncio.gather(*(here.buy(ADA, 5, order_id="o") for _ in range(40)))
    amounts = await asyncio.gather(*(here.buy(ADA, n, order_id="p") for n in range(1, 21)))
    assert {(status, str(answer)) for status, answer in answers} == {(200, str(answers[0][1]))}
    assert sorted(status for status, _ in amounts) == [200] + [409] * 19
    ((winner, _),) = [(n, a) for n, a in enumerate(amounts, 1) if a[0] == 200]
    assert await revenue(here) == {("spring", "USD"): (2, Decimal(5 + winner))}


async def test_purchases_without_an_order_id_each_count(here: Shop) -> None:
    ids = {(await here.buy(ADA))[1]["event_id"] for _ in range(3)}
    assert len(ids) == 3
    assert await revenue(here) == {("", "USD"): (3, Decimal("299.97"))}


async def test_money_is_exact(here: Shop) -> None:
    amounts: list[tuple[bytes, str]] = [
        (b"0.1", "USD"),
        (b"0.2", "USD"),
        (b"999999999999999.99", "USD"),
        (b"1e2", "JPY"),
        (b"100.00", "JPY"),
        (b"0.001", "KWD"),
        (b"0", "EUR"),
    ]
    for amount, currency in amounts:
        body = b'{"contact_email": "a@b.example", "amount": %s, "currency": "%s"}' % (amount, currency.encode())
        assert (await here.post("/api/v1/track/purchase", body))[0] == 200
    assert await revenue(here) == {
        ("", "USD"): (3, Decimal("1000000000000000.29")),
        ("", "JPY"): (2, Decimal(200)),
        ("", "KWD"): (1, Decimal("0.001")),
        ("", "EUR"): (1, Decimal(0)),
    }


async def test_custom_events_are_history(here: Shop) -> None:
    properties = {"plan": "pro", "source": "welcome_email", "n": 12345678901234567890123, "deep": [{"a": None}]}
    body: dict[str, Any] = {"event_name": "trial_started", "contact_email": "user@example.com"}
    status, answer = await here.post("/api/v1/track/event", {**body, "properties": properties})
    assert status == 200
    assert answer == {"success": True, "event_id": answer["event_id"]}
    old = {**body, "timestamp": "1970-01-01T00:00:00Z"}
    assert (await here.post("/api/v1/track/event", old))[0] == 200
    await here.at.counted()
    rows = await here.at.db.fetch("SELECT *, properties->>'n' AS n FROM custom_event ORDER BY claimed_at NULLS FIRST")
    assert [(row["id"], row["name"], row["n"]) for row in rows[:1]] == [
        (answer["event_id"], "trial_started", "12345678901234567890123")
    ]
    assert rows[0]["contact"] == "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"
    assert rows[1]["claimed_at"] == datetime(1970, 1, 1, tzinfo=UTC)
    assert rows[1]["at"] > datetime.now(UTC) - timedelta(minutes=5)
    assert await revenue(here) == {}
