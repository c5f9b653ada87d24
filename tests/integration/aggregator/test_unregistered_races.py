"""Registrations and webhooks that meet: nothing is missed while either side cannot see the other, nothing is late."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from uuid import UUID

import pytest

from postmeter.shared.storage import uuid7
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event, Mail, Record, Registration
from postmeter.shared.stream.streams import slot_of
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, message, registration
from tests.integration.aggregator_model import Model, check_tables
from tests.integration.aggregator_sums import check_sums
from tests.integration.flushes import HOUR, Side, sides
from tests.waiting import until

DAY = 24 * HOUR
MAIL = Mail(
    source="src_00000000000000000000", to_hash="", to_domain="", from_address="", from_domain="shop.example",
    subject="Hello", campaign="", template="offer", tags=[],
)  # fmt: skip


def told(kind: EventType, at: int = AT, **changes: object) -> Event:
    """What SENDGRID's webhook tells of its message sg-1."""
    given: dict[str, object] = {"provider": "SENDGRID", "provider_message": "sg-1", "mail": MAIL}
    return event(kind, None, at, **given | changes)


def registered(n: int = 1) -> Registration:
    """Mail without pixel and links: the provider's opens and clicks count. Of another day, so that no flush waits for
    the counters of another.
    """
    return registration(n, tracks_opens=False, tracks_clicks=False, created=AT - 3 * DAY)


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


@pytest.fixture
async def two(at: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Side]]:
    """Two shards' workers; the series that the tests need are made, for flushes make them apart. A message that is made
    for a webhook is never in the slot of message 1: one of its writers would wait for the other.
    """
    new, taken = uuid7.new, slot_of(1, message(1))

    def elsewhere(at_ms: int | None = None) -> UUID:
        made = new(at_ms)
        return made if slot_of(1, made.bytes) != taken else elsewhere(at_ms)

    monkeypatch.setattr(uuid7, "new", elsewhere)
    async with sides(at, 2) as made:
        await made[0].flush([registration(9), told(EventType.SENT, provider_message="sg-8")])
        await settled(at, made[0])
        yield made


async def queued(at: Bench) -> int:
    return int(await at.value("SELECT count(*) FROM unregistered"))


async def settled(at: Bench, side: Side) -> None:
    """Look at unregistered messages until none is left. Transactions of Postgres' own are waited for, too."""

    async def so() -> bool:
        await side.adopt()
        return await queued(at) == 0

    await until(so)


async def messages(at: Bench) -> list[bytes]:
    rows = await at.db.fetch("SELECT id FROM message WHERE workspace = 1 AND provider_message = 'sg-1' ORDER BY id")
    return [row[0].bytes for row in rows]


async def waits(at: Bench, side: Side, doing: Awaitable[None]) -> "asyncio.Task[None]":
    """Begin something that must wait for another transaction, and go as far as it can."""
    task = asyncio.ensure_future(doing)
    query = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"

    async def stands() -> bool:
        return task.done() or bool(await at.value(query, side.connection.get_server_pid()))

    await until(stands)
    assert not task.done()
    return task


async def as_if_first(at: Bench, found: list[Record]) -> None:
    """The tables without the messages of the fixture are those of a registration that came first."""
    eight = await at.value("SELECT id FROM message WHERE provider_message = 'sg-8'")
    others: list[Record] = [
        registration(9),
        registration(8, message=eight.bytes, campaign="", template="offer", tags=[], created=AT),
        told(EventType.SENT, provider_message="sg-8"),
    ]
    await check_tables(at.db, 1, Model([(one, "") for one in (*others, *found)]))
    await check_sums(at.db, 1)


async def test_a_webhook_that_is_not_committed_when_the_registration_is(at: Bench, two: list[Side]) -> None:
    webhook, other = two
    found: list[Record] = [registered(), told(EventType.OPENED), told(EventType.SENT, AT - HOUR)]
    async with webhook.connection.transaction():
        await webhook.flush(found[1:])
        await other.flush(found[:1])
        assert await messages(at) == [message(1)]
    assert len(await messages(at)) == 2
    await other.adopt()
    assert await messages(at) == [message(1)]
    await as_if_first(at, found)


async def test_a_registration_that_is_not_committed_when_the_webhook_is_looked_at(at: Bench, two: list[Side]) -> None:
    webhook, other = two
    found: list[Record] = [registered(), told(EventType.OPENED), told(EventType.SENT, AT - HOUR)]
    async with other.connection.transaction():
        await other.flush(found[:1])
        await webhook.flush(found[1:])
        for _ in range(3):
            await webhook.adopt()
        assert await queued(at) == 1, "forgotten while a transaction that has missed it still runs"
    await settled(at, webhook)
    assert await messages(at) == [message(1)]
    await as_if_first(at, found)


async def test_an_event_that_is_being_counted_when_its_message_moves(at: Bench, two: list[Side]) -> None:
    webhook, other = two
    found: list[Record] = [
        told(EventType.SENT),
        registered(),
        told(EventType.OPENED, AT + HOUR),
        told(EventType.DELIVERED),
    ]
    await webhook.flush(found[:1])
    async with webhook.connection.transaction():
        await webhook.flush(found[2:])
        await other.flush(found[1:2])
        moving = await waits(at, other, other.adopt())
    await moving
    assert await messages(at) == [message(1)]
    await as_if_first(at, found)


async def test_an_event_that_comes_while_its_message_moves(at: Bench, two: list[Side]) -> None:
    webhook, other = two
    found: list[Record] = [
        told(EventType.SENT),
        registered(),
        told(EventType.OPENED, AT + HOUR),
        told(EventType.DELIVERED),
    ]
    await webhook.flush(found[:1])
    assert len(await messages(at)) == 1
    # The event's flush has found the provisional message before the registration is committed.
    async with other.connection.transaction():
        await other.connection.execute("SELECT FROM message WHERE provider_message = 'sg-1' FOR UPDATE")
        counting = await waits(at, webhook, webhook.flush(found[2:]))
        await other.flush(found[1:2])
        await other.adopt()
    await counting
    assert await messages(at) == [message(1)]
    await as_if_first(at, found)


async def test_the_message_is_there_with_its_first_event(at: Bench, two: list[Side]) -> None:
    await two[0].flush([told(EventType.OPENED, AT + HOUR), told(EventType.SENT, AT + 60 * SECOND)])
    row = await at.db.fetchrow(
        "SELECT m.*, s.domain, extract(epoch FROM m.created_at) * 1000000 AS created FROM message m"
        " JOIN series s ON s.id = m.series WHERE m.provider_message = 'sg-1'"
    )
    assert row is not None
    assert (row["template"], row["domain"], row["subject"], row["provider"]) == (
        "offer", "shop.example", "Hello", "SENDGRID",
    )  # fmt: skip
    assert row["created"] == AT + 60 * SECOND
    assert int.from_bytes(row["id"].bytes[:6], "big") == (AT + 60 * SECOND) // 1000
    await two[0].flush([told(EventType.DELIVERED, AT - HOUR)])
    created = "SELECT extract(epoch FROM created_at) * 1000000 FROM message WHERE provider_message = 'sg-1'"
    assert await at.value(created) == AT - HOUR, "created when the earliest that is told of it happened"


async def test_an_api_event_waits_but_counts_once_a_webhook_has_told(at: Bench, two: list[Side]) -> None:
    await two[1].flush([told(EventType.REPLIED, mail=None)])
    assert await messages(at) == []
    assert await at.value("SELECT count(*) FROM waiting") == 1
    await two[0].flush([told(EventType.SENT)])
    await two[1].sweep()
    assert await at.value("SELECT count(*) FROM waiting") == 0
    assert await at.value("SELECT count(*) FROM event WHERE type = $1", EventType.REPLIED) == 1


async def test_what_the_history_does_not_reach_stays_where_it_is(at: Bench) -> None:
    at.settings = replace(at.settings, retain_events=1)
    async with sides(at, 2) as (webhook, other):
        await webhook.flush([told(EventType.SENT, AT - 100 * DAY)])
        await other.flush([registered()])
        await other.adopt()
        assert len(await messages(at)) == 2
        assert await queued(at) == 0
        await webhook.flush([told(EventType.DELIVERED)])
    states = await at.db.fetch("SELECT state FROM message WHERE provider_message = 'sg-1' ORDER BY flags & 4")
    assert [row["state"] for row in states] == [5, 3], "what comes after the registration is the registered one's"


@pytest.mark.parametrize(
    "said",
    [
        "INSERT INTO privacy_setting (workspace, history_months) VALUES (1, 1)",
        "INSERT INTO retention_done (workspace, kind, until) VALUES (1, 'history', now()::date - 60)",
    ],
)
async def test_nor_is_moved_what_the_history_of_a_workspace_does_not_reach(at: Bench, said: str) -> None:
    """Its uniques would be taken back, and never added again."""
    async with sides(at, 1) as (side,):
        await side.flush([told(EventType.SENT, AT - 100 * DAY), told(EventType.OPENED, AT - 100 * DAY)])
        before = await at.total()
        await at.db.execute(said)
        await at.db.execute("DELETE FROM event")  # as the workspace's retention does
        await side.flush([registered()])
        await settled(at, side)
        assert await at.total() == before
        assert len(await messages(at)) == 2


async def test_another_choice_is_for_what_comes_then(at: Bench, two: list[Side]) -> None:
    await at.db.execute(
        "INSERT INTO workspace (number, id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'ws-1', '') ON CONFLICT DO NOTHING"
    )
    await at.db.execute(
        "INSERT INTO webhook_source (id, workspace, provider, name, secret) VALUES ('src-1', 1, 'sendgrid', '', '')"
    )
    side, opened = two[0], EventType.OPENED
    await side.flush([registration(1), hit(1), told(opened)])
    kept = "SELECT count(*) FROM history WHERE NOT counted AND source IS {} NULL"
    assert (await at.value(kept.format("")), await at.value(kept.format("NOT"))) == (0, 1)
    for whose, seen in (("provider", ""), ("own", "NOT")):
        before = await at.value(kept.format(seen))
        await at.db.execute("UPDATE webhook_source SET engagement = $1", whose)

        async def followed(seen: str = seen, before: int = before) -> bool:
            await side.flush([hit(1), told(opened)])
            return bool(await at.value(kept.format(seen)) > before)

        await until(followed)
    counted = await at.value("SELECT count(*) FROM history WHERE counted AND type = $1", opened)
    every = await at.value("SELECT count(*) FROM event WHERE type = $1", opened)
    assert counted * 2 == every, "of each pair one counts, whichever is chosen"
    assert (await at.total())["human_opens"] == counted
