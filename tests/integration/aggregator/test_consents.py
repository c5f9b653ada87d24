"""What recipients choose, in the aggregator on real Postgres and Redis: the proof, the choice, and messages lowered."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from postmeter.aggregator.store import consents
from postmeter.aggregator.store.memory import Memory
from postmeter.aggregator.store.messages import hold_unregistered
from postmeter.shared.privacy.levels import Level, Levels, of_flags
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Consent, Mail
from postmeter.shared.stream.streams import slot_of, slot_of_name
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, message, registration
from tests.integration.flushes import sides
from tests.waiting import until

GRANTED, DENIED, UNKNOWN = 1, 2, 0
HASH = "a" * 64


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


def consent(opens: int | None, clicks: int | None, when: int = AT, **changes: Any) -> Consent:
    given = Consent(
        at=when,
        received=AT,
        workspace=1,
        to_hash=HASH,
        message=b"",
        opens=opens,
        clicks=clicks,
        method="form",
        text_version="2026-07",
        source="signup",
        by="key:k",
    )
    return structs.replace(given, **changes)


async def levels(at: Bench, n: int, workspace: int = 1) -> Levels:
    query = "SELECT flags FROM message WHERE workspace = $1 AND id = $2"
    return of_flags(await at.value(query, workspace, UUID(bytes=message(n))))


async def choice(at: Bench, to_hash: str = HASH) -> tuple[int, int]:
    row = await at.db.fetchrow("SELECT opens, clicks FROM recipient_choice WHERE to_hash = $1", to_hash)
    assert row is not None
    return row["opens"], row["clicks"]


async def test_a_refusal_lowers_what_was_mailed_before_and_nothing_else(at: Bench) -> None:
    await at.streams.append(0, registration(1, to_hash=HASH), registration(2, to_hash=HASH))
    await at.streams.append(0, registration(3), registration(4, to_hash=HASH, workspace=2))
    async with at.aggregator(shards=1):
        await at.counted()
        await at.db.execute("UPDATE message SET flags = 3 + 3 * 128 WHERE id = $1", UUID(bytes=message(2)))
        await at.streams.append(0, consent(DENIED, None))
        await at.counted()
        assert await levels(at, 1) == (Level.OFF, Level.FULL)
        assert await levels(at, 2) == (Level.OFF, Level.ANONYMOUS), "what was lower stays"
        assert await levels(at, 3) == await levels(at, 4, 2) == (Level.FULL, Level.FULL), "others' and another tenant's"
        await at.streams.append(0, consent(GRANTED, DENIED, AT + SECOND))
        await at.counted()
        assert await choice(at) == (GRANTED, DENIED)
        assert await levels(at, 1) == (Level.OFF, Level.OFF), "what is out is never raised"
        rest = await at.value("SELECT flags & 15 FROM message WHERE workspace = 1 AND id = $1", UUID(bytes=message(1)))
        assert rest == 3, "what else the flags say stays"
    told = await at.db.fetch("SELECT opens, clicks, method, text_version, source FROM consent ORDER BY id")
    assert [tuple(row) for row in told] == [
        (DENIED, None, "form", "2026-07", "signup"),
        (GRANTED, DENIED, "form", "2026-07", "signup"),
    ]
    assert await at.value("SELECT count(*) FROM privacy_setting WHERE workspace = 1") == 1


async def test_ceilings_of_who_refused_and_of_who_takes_back_are_the_workspaces(at: Bench) -> None:
    await at.streams.append(0, registration(1, to_hash=HASH))
    async with at.aggregator(shards=1):
        await at.counted()
        await at.db.execute(
            "INSERT INTO privacy_setting (workspace, unknown_opens, unknown_clicks, denied_opens) VALUES (1, 1, 4, 3)"
        )
        await at.streams.append(0, consent(GRANTED, GRANTED))
        await at.counted()
        assert await levels(at, 1) == (Level.FULL, Level.FULL)
        await at.streams.append(0, consent(UNKNOWN, UNKNOWN, AT + 1))
        await at.counted()
        assert await levels(at, 1) == (Level.PSEUDONYMOUS, Level.OFF)
        await at.streams.append(0, consent(DENIED, None, AT + 2), registration(2, to_hash="b" * 64))
        await at.counted()
        assert await levels(at, 1) == (Level.ANONYMOUS, Level.OFF)
        # What is said otherwise acts on choices from then on: nobody is lowered who refused, or did not choose, before.
        await at.db.execute("UPDATE recipient_choice SET look_at = NULL")  # what that minute's looks had to find
        await at.db.execute("UPDATE privacy_setting SET unknown_opens = 4, denied_opens = 4")
        await at.streams.append(0, consent(DENIED, None, to_hash="c" * 64))
        await at.counted()
        assert (await levels(at, 1)).opens == Level.ANONYMOUS
        assert (await levels(at, 2)).opens == Level.PSEUDONYMOUS  # as was said when it was registered
        await at.streams.append(0, consent(DENIED, None, AT + 3))
        await at.counted()
        assert (await levels(at, 1)).opens == Level.OFF


@pytest.mark.parametrize("seed", range(4))
async def test_the_latest_choice_holds_in_any_order_of_arrival(at: Bench, seed: int) -> None:
    """Against a model of its own: for opens and clicks apart the latest, of equals a refusal before all."""
    told = [
        (when, opens, clicks)
        for when, opens, clicks in itertools.product((1, 2, 3), (None, *range(3)), (None, *range(3)))
        if (opens, clicks) != (None, None)
    ]
    dice = random.Random(seed)
    people = {f"{n:064x}": dice.sample(told, dice.randint(1, 6)) for n in range(60)}
    records = [
        consent(opens, clicks, AT + when, to_hash=to_hash)
        for to_hash, said in people.items()
        for when, opens, clicks in said
    ]
    dice.shuffle(records)
    async with at.aggregator(shards=3):
        while records:
            batch, records = records[: (n := dice.randint(1, 40))], records[n:]
            await at.streams.append(dice.randrange(3), *batch, batch_id=(name := f"batch-{len(records)}"))
            if dice.random() < 0.3:
                await at.streams.append(dice.randrange(3), *batch, batch_id=name)
        await at.counted()
    allows_less = {GRANTED: 0, UNKNOWN: 1, DENIED: 2}
    for to_hash, said in people.items():
        expected = []
        for place in (1, 2):
            known = [(one[0], allows_less[one[place]], one[place]) for one in said if one[place] is not None]
            expected.append(max(known)[2] if known else UNKNOWN)
        assert await choice(at, to_hash) == tuple(expected), said
    assert await at.value("SELECT count(*) FROM consent") == sum(map(len, people.values())), "once, however often sent"


async def test_a_choice_on_a_message_s_page_is_its_recipient_s(at: Bench) -> None:
    page: dict[str, Any] = {"to_hash": "", "by": "recipient", "method": "preferences_page"}
    await at.streams.append(0, registration(1, to_hash=HASH), *(registration(n, to_hash="") for n in (2, 3)))
    await at.streams.append(0, consent(DENIED, DENIED, message=message(1), **page))
    async with at.aggregator(shards=1):
        await at.counted()
        # A webhook told of the second and named nobody; the third is of who was erased, of whom nothing is kept.
        await at.db.execute("UPDATE message SET flags = 4 WHERE id = $1", UUID(bytes=message(2)))
        await at.streams.append(0, *(consent(DENIED, None, message=message(n), **page) for n in (2, 3)))
        await at.counted()
    assert await choice(at) == (DENIED, DENIED)
    assert await levels(at, 1) == (Level.OFF, Level.OFF)
    assert await at.value("SELECT recorded_by FROM consent") == "recipient"
    assert [row["reason"] for row in await at.db.fetch("SELECT reason FROM dead_letter")] == [consents.NOBODY]


async def test_a_choice_on_the_page_of_a_message_that_is_not_counted_yet_waits_for_it(at: Bench) -> None:
    """Its registration may be in a spool. Who registers takes it out, or else the sweep finds it."""
    page: dict[str, Any] = {"to_hash": "", "by": "recipient", "method": "preferences_page"}
    others = {"to_hash": "b" * 64}
    async with at.aggregator(shards=1):
        for n in (1, 2, 3):
            await at.streams.append(0, consent(DENIED, DENIED, AT + n, message=message(n), **page))
            await at.streams.append(0, hit(n, AT + SECOND))
        await at.counted()
        assert await at.value("SELECT count(*) FROM waiting") == 6
        assert await at.value("SELECT count(*) FROM consent") == 0
        await at.streams.append(0, registration(1, to_hash=HASH))
        await at.counted()
        assert await choice(at) == (DENIED, DENIED)
        assert await levels(at, 1) == (Level.OFF, Level.OFF)
    async with sides(at, 3) as made:
        # Who registers cannot see what another is just letting wait: the sweep finds it.
        record = await at.db.fetchrow(
            "DELETE FROM waiting WHERE message = $1 AND position('preferences_page'::bytea IN record) > 0 RETURNING *",
            UUID(bytes=message(2)),
        )
        assert record is not None
        await made[0].flush([registration(2, **others)])
        await at.db.execute(
            "INSERT INTO waiting (workspace, message, provider, provider_message, record, to_hash)"
            " VALUES (1, $1, '', '', $2, '')",
            record["message"],
            record["record"],
        )
        await made[1].sweep()
        assert await choice(at, "b" * 64) == (DENIED, DENIED)
        assert await levels(at, 2) == (Level.OFF, Level.OFF)
    assert await at.value("SELECT count(*) FROM consent") == 2
    assert await at.value("SELECT count(*) FROM waiting") == 2, "the third one's"
    assert await at.value("SELECT count(*) FROM dead_letter") == 0


async def test_messages_that_are_too_many_are_lowered_by_and_by(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consents, "MOST_MESSAGES", 3)
    await at.streams.append(0, *(registration(n, to_hash=HASH) for n in range(1, 11)), consent(DENIED, DENIED))

    async def lowered() -> bool:
        return bool(await at.value("SELECT count(*) FROM message WHERE flags & 1008 = 576") == 10)

    async with at.aggregator(shards=1):
        await until(lowered)


async def test_what_was_registered_at_the_same_moment_is_lowered_soon(at: Bench) -> None:
    due = "SELECT extract(epoch FROM look_at - changed_at)::float8 FROM recipient_choice"
    async with at.aggregator(shards=1):
        await at.streams.append(0, registration(1, to_hash=HASH), consent(DENIED, None))
        await at.counted()
        assert await at.value(due) == pytest.approx(consents.FIRST_LOOK, abs=0.5)
        # As where a transaction that has not seen the choice is committed behind it.
        await at.db.execute("UPDATE message SET flags = 3")
        await at.db.execute("UPDATE recipient_choice SET look_at = clock_timestamp()")

        async def lowered() -> bool:
            return await levels(at, 1) == (Level.OFF, Level.FULL)

        await until(lowered)

        async def looked() -> bool:
            return bool(await at.value(due) == pytest.approx(consents.LAST_LOOK))

        await until(looked)
        old = "UPDATE recipient_choice SET look_at = clock_timestamp(), changed_at = changed_at - interval '1 hour'"
        await at.db.execute(old)

        async def done() -> bool:
            return bool(await at.value("SELECT count(*) FROM recipient_choice WHERE look_at IS NULL") == 1)

        await until(done)


async def test_a_message_that_nobody_has_registered_is_locked_before_slots(at: Bench) -> None:
    """As flushes lock it, which add to it what a webhook tells: else each waits for the other."""
    mail = Mail("src_1", HASH, "mail.example", "news@shop.example", "shop.example", "Hello", "", "", [])
    told = event(EventType.DELIVERED, None, AT, provider="SENDGRID", provider_message="sg-1", mail=mail)
    async with sides(at, 2) as (webhook, other):
        await webhook.flush([told])
        made = await at.value("SELECT id FROM message")

        async def choose() -> None:
            await other.flush([consent(DENIED, DENIED)])
            await other.lower()

        async def stands() -> bool:
            query = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
            return task.done() or bool(await at.value(query, other.connection.get_server_pid()))

        async with webhook.connection.transaction():
            assert await hold_unregistered(webhook.connection, [(1, made.bytes)])
            task = asyncio.create_task(choose())
            await until(stands)
            assert not task.done()
            await webhook.connection.execute("SELECT FROM slot ORDER BY slot FOR UPDATE")
        await task
        assert of_flags(await at.value("SELECT flags FROM message")) == (Level.OFF, Level.OFF)


async def test_who_is_looked_at_again_in_vain_holds_nobody_up(at: Bench) -> None:
    others = [f"{n:064x}" for n in range(20)]
    async with sides(at, 1) as (side,):
        await side.flush([registration(1, to_hash=HASH), consent(DENIED, DENIED)])
        await side.flush([consent(DENIED, None, to_hash=to_hash) for to_hash in others])
        await at.db.execute("UPDATE message SET flags = 3")
        await at.db.execute("UPDATE recipient_choice SET look_at = clock_timestamp()")
        async with Memory(100).transaction(side.connection) as held:
            assert not await consents.look_again(held)
            assert set(held.turns) == {slot_of_name(1, "", HASH), slot_of(1, message(1))}
    assert await levels(at, 1) == (Level.OFF, Level.OFF)
    assert await at.value("SELECT count(*) FROM recipient_choice WHERE look_at > clock_timestamp()") == 21


async def test_a_page_sent_a_thousand_times_leaves_a_hundred_proofs_a_day(at: Bench) -> None:
    await at.streams.append(0, registration(1, to_hash=HASH))
    page = {"to_hash": "", "message": message(1), "by": "recipient"}
    async with at.aggregator(shards=1):
        await at.counted()
        told = [consent(GRANTED if n % 2 else DENIED, None, AT + n, **page) for n in range(240)]
        for some in (told[:60], told[60:130], told[130:]):  # the bound falls within a flush
            await at.streams.append(0, *some)
            await at.counted()
        assert await choice(at) == (GRANTED, UNKNOWN)
        stay = [AT + n for n in (*range(99), 239)]
        kept = "SELECT array_agg((extract(epoch FROM at) * 1000000)::bigint ORDER BY id) FROM consent"
        assert await at.value(kept) == stay
        await at.streams.append(0, *(consent(None, DENIED, AT + 1000 + n) for n in range(120)))
        await at.counted()
        assert await at.value("SELECT count(*) FROM consent") == 220, "what a key tells is the sender's own"
        await at.db.execute("UPDATE consent SET recorded_at = recorded_at - interval '25 hours'")
        await at.streams.append(0, consent(DENIED, None, AT + 2000, **page), consent(GRANTED, None, AT + 2001, **page))
        await at.counted()
        assert await at.value("SELECT count(*) FROM consent") == 222
