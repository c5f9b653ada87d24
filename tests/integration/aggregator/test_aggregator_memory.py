"""What an aggregator remembers of messages: bounded, forgotten where it may be old, never a reason to count wrongly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from asyncpg.pgproto.pgproto import UUID
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from postmeter.aggregator.errors import OutOfStep
from postmeter.aggregator.fold import engagements, moments
from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.clicks import settle
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.states import PLAIN, Known
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.store import dimensions
from postmeter.aggregator.store.memory import Memory
from postmeter.aggregator.store.messages import Made
from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.judge import Judge
from postmeter.aggregator.verdicts.networks import Networks
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import Engagement, EventType
from postmeter.shared.stream.streams import SLOTS, slot_of
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, message, registration
from tests.packed_rows import engagement
from tests.waiting import until

KEYS = [(1, message(n)) for n in range(1, 21)]
COMMITS_LATE = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON message DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait()
"""
"""A transaction that changes messages waits in its commit for the advisory lock 1."""


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        await moments.prepare(made.db)
        yield made


async def learn(memory: Memory, at: Bench, series: dict[tuple[int, bytes], int]) -> None:
    async with memory.transaction(at.db) as held:
        held.create({key: Made(of, PLAIN) for key, of in series.items()})
        await held.hold((), series)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_look_up_begins_with_its_keys_also_in_a_month_without_statistics(at: Bench, mode: str) -> None:
    """Postgres takes such a month for empty: to begin with it is to compare all of its rows with all of the keys."""
    for name, value in moments.PLANS.items():
        await at.db.execute(f"SET {name} = {value}")
    await at.db.execute(f"SET plan_cache_mode = {mode}")
    text = Queries("postmeter.aggregator.store", "memory.sql")["messages"]
    await at.db.execute(f"PREPARE look_up (int[], uuid[], uuid, uuid) AS {text}")
    ids = sorted(str(UUID(one)) for _, one in KEYS)
    keys = f"'{{{', '.join('1' for _ in ids)}}}', '{{{', '.join(ids)}}}', '{ids[0]}', '{ids[-1]}'"
    plan = "\n".join(line for (line,) in await at.db.fetch(f"EXPLAIN EXECUTE look_up ({keys})"))
    assert "message_" in plan
    assert "engagement_" in plan
    assert "Join Filter" not in plan


def first_open(known: Known) -> int | None:
    return None if known.first is None else known.first[Engagement.OPEN]


async def test_it_is_bounded_and_forgets_the_unused(at: Bench) -> None:
    memory = Memory(3)
    for n, key in enumerate(KEYS):
        await learn(memory, at, {key: n})
    known = [key for key in KEYS if memory.get(key) is not None]
    assert 3 <= len(known) <= 8
    assert known == KEYS[-len(known) :]
    last = memory.get(KEYS[-1])
    assert last is not None
    assert (last.series, last.sent_at, last.first) == (len(KEYS) - 1, None, None)


async def test_clicks_are_no_more_than_twice_as_many_as_messages(at: Bench) -> None:
    """However many a message has; and of URLs, which may be long, only whether two are the same is kept."""
    memory, settled = Memory(len(KEYS)), Horizon(at.settings.months())
    kept: dict[tuple[int, bytes], Known] = {}
    for key in KEYS:
        changes = Changes(settled, Judge(Networks.shipped, AgentNames.shipped))
        hits = [hit(0, AT + n * SECOND, url=f"https://shop.example/{n}") for n in range(10)]
        changes.add_hits([(key, one, 1) for one in hits])
        async with memory.transaction(at.db) as held:
            held.create({key: Made(1, PLAIN, 10)})
            kept |= await held.hold([key], ())
            held.remembered += settle(changes, kept).remembered
            engagements.fold(changes, kept, 0)
    all_clicks = {key: list(known.clicks or ()) for key, known in kept.items()}
    found = [clicks for key, clicks in all_clicks.items() if memory.get(key) is kept[key]]
    assert 10 <= sum(len(clicks) for clicks in found) <= 2 * (len(KEYS) + 10)
    assert not any(isinstance(click.url, str) for clicks in found for click in clicks)


async def test_nothing_is_known_after_another_process_wrote(at: Bench) -> None:
    one, other = Memory(100), Memory(100)
    await learn(one, at, dict.fromkeys(KEYS, 1))
    await learn(other, at, {KEYS[0]: 2})
    async with one.transaction(at.db) as held:
        await held.hold((), KEYS)
    known = {key for key in KEYS if one.get(key) is not None}
    assert known == {key for key in KEYS if slot_of(*key) != slot_of(*KEYS[0])}


async def test_nothing_is_learnt_of_what_is_not_committed(at: Bench) -> None:
    memory = Memory(100)
    await learn(memory, at, {KEYS[0]: 1})
    with suppress(ZeroDivisionError):
        async with memory.transaction(at.db) as held:
            held.create({KEYS[1]: Made(2, PLAIN)})
            await held.hold((), KEYS[:2])
            raise ZeroDivisionError
    async with memory.trial(at.db) as held:
        held.create({KEYS[2]: Made(2, PLAIN)})
        await held.hold((), KEYS[2:3])
    assert all(memory.get(key) is None for key in KEYS[:3])


async def test_what_was_changed_in_place_is_forgotten_where_it_is_not_committed(at: Bench) -> None:
    """Whether the transaction fails, is a trial, or has rolled part of its work back."""
    memory = Memory(100)
    for ends in ("fails", "tries", "is spoilt"):
        await learn(memory, at, {KEYS[0]: 1})
        assert memory.get(KEYS[0]) is not None
        with suppress(ZeroDivisionError):
            async with (memory.trial if ends == "tries" else memory.transaction)(at.db) as held:
                (await held.hold(KEYS[:1], ()))[KEYS[0]].engage(Engagement.OPEN, AT)
                held.spoilt = ends == "is spoilt"
                assert ends != "fails" or 1 / 0
        assert memory.get(KEYS[0]) is None, ends


async def test_two_transactions_of_a_process_follow_each_other(at: Bench) -> None:
    """The second waits for the first, and learns from Postgres what the first has just committed."""
    async with at.aggregator():
        await at.streams.append(0, registration(1), event(EventType.SENT, 1))
        await at.counted()
    memory, key, other = Memory(100), KEYS[0], await asyncpg.connect(at.dsn)
    await moments.prepare(other)
    try:
        async with memory.transaction(at.db) as first:
            looked = asyncio.Event()

            async def second() -> Known:
                async with memory.transaction(other) as held:
                    assert await held.series([key]) != {}
                    looked.set()
                    return (await held.hold([key], ()))[key]

            assert await first.series([key]) != {}
            before = (await first.hold([key], ()))[key]
            task = asyncio.create_task(second())
            await looked.wait()
            assert (before.sent_at, before.first) == (AT, None)
            before.engage(Engagement.OPEN, AT + SECOND)
            await first.write_engagements([engagement(key, Engagement.OPEN, AT + SECOND, before.series or 0)])
            assert not task.done()
        assert first_open(await task) == AT + SECOND
    finally:
        await other.close()


async def test_what_was_let_go_meanwhile_is_asked_for_anew(at: Bench) -> None:
    """For another transaction may have learnt it once more, and changed that."""
    async with at.aggregator():
        await at.streams.append(0, registration(1))
        await at.counted()
    memory, key, other = Memory(1), KEYS[0], await asyncpg.connect(at.dsn)
    await moments.prepare(other)
    async with memory.transaction(at.db) as held:
        await held.series([key])
        await held.hold([key], ())
    async with memory.transaction(other) as slow:
        assert await slow.series([key]) != {}
        for _ in range(2):
            await learn(memory, at, dict.fromkeys(KEYS[1:5], 1))
        async with memory.transaction(at.db) as quick:
            assert await quick.series([key]) != {}
            known = (await quick.hold([key], ()))[key]
            known.engage(Engagement.OPEN, AT)
            await quick.write_engagements([engagement(key, Engagement.OPEN, AT, known.series or 0)])
        assert first_open((await slow.hold([key], ()))[key]) == AT
    await other.close()


async def test_of_two_look_ups_in_a_slot_the_first_says_since_when(at: Bench) -> None:
    """Between them another transaction may have changed what the first one found."""
    twin = next(n for n in range(2, 10_000) if slot_of(1, message(n)) == slot_of(*KEYS[0]))
    async with at.aggregator():
        await at.streams.append(0, registration(1), registration(twin))
        await at.counted()
    memory, key, other = Memory(100), KEYS[0], await asyncpg.connect(at.dsn)
    await moments.prepare(other)
    async with memory.transaction(other) as slow:
        assert await slow.series([key]) != {}
        async with memory.transaction(at.db) as quick:
            assert await quick.series([key]) != {}
            known = (await quick.hold([key], ()))[key]
            known.engage(Engagement.OPEN, AT)
            await quick.write_engagements([engagement(key, Engagement.OPEN, AT, known.series or 0)])
        assert await slow.series([(1, message(twin))]) != {}
        assert first_open((await slow.hold([key], ()))[key]) == AT
    await other.close()


async def test_a_commit_whose_answer_is_lost_may_still_come(at: Bench) -> None:
    """Its server may be at it when somebody else looks, who then waits for it at the lock."""
    async with at.aggregator():
        await at.streams.append(0, registration(1))
        await at.counted()
    await at.db.execute(COMMITS_LATE)
    memory, key = Memory(100), KEYS[0]
    lost, other = await asyncpg.connect(at.dsn), await asyncpg.connect(at.dsn)
    await moments.prepare(other)
    await at.db.execute("SELECT pg_advisory_lock(1)")

    async def send() -> None:
        async with memory.transaction(lost) as held:
            await held.hold([key], ())
            await lost.execute("UPDATE message SET sent_at = to_timestamp(1) WHERE id = $1", UUID(key[1]))

    async def waits(n: int) -> bool:
        return bool(n == await at.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    sending = asyncio.create_task(send())
    await until(lambda: waits(1))
    lost.terminate()  # the commit has been sent
    with pytest.raises(asyncpg.PostgresError):
        await sending
    async with memory.transaction(other) as held:
        assert await held.series([key]) != {}
        holding = asyncio.create_task(held.hold([key], ()))
        await until(lambda: waits(2))
        await at.db.execute("SELECT pg_advisory_unlock(1)")
        assert (await holding)[key].sent_at == SECOND
    await other.close()


async def test_whoever_counts_without_the_lock_is_noticed(at: Bench) -> None:
    """As an aggregator of a version that knows of no slots: then nothing is believed, and the flush is tried again."""
    async with at.aggregator():
        await at.streams.append(0, registration(1))
        await at.counted()
    memory, key = Memory(100), KEYS[0]

    async def engage() -> int | None:
        async with memory.transaction(at.db) as held:
            opened = first_open((await held.hold([key], ()))[key])
            if opened is None:
                await held.write_engagements([engagement(key, Engagement.OPEN, AT + SECOND, 1)])
        return opened

    await learn(memory, at, {key: 1})
    made = "INSERT INTO engagement (workspace, message, kind, at, series) VALUES (1, $1, 1, $2, 1)"
    await at.db.execute(made, UUID(key[1]), AT)
    with pytest.raises(OutOfStep):
        await engage()
    assert await engage() == AT


async def test_every_slot_has_its_row(at: Bench) -> None:
    assert await at.value("SELECT array_agg(slot ORDER BY slot) FROM slot") == list(range(SLOTS))


async def test_one_aggregator_after_another_counts_the_same_messages(at: Bench) -> None:
    """Each remembers what it counted; messages' hits go to one, then to the other, in any order of time."""
    async with at.aggregator(shards=2), at.aggregator(shards=2):
        await at.streams.append(0, *(registration(n) for n in range(1, 21)))
        await at.counted()
        for turn in range(6):
            shard = turn % 2
            moved = AT + (10 - turn) * SECOND if turn % 3 else AT + (100 + turn) * SECOND
            await at.streams.append(shard, *(hit(n, moved) for n in range(1, 21)))
            await at.counted()
    assert await at.total() == {"human_opens": 120, "unique_opens": 20}
    assert await at.value("SELECT count(DISTINCT at) FROM engagement") == 1
    assert await at.value("SELECT min(at) = max(at) AND count(*) = 20 FROM engagement WHERE kind = 1")


async def test_a_registration_that_is_repeated_is_not_stored_in_vain(at: Bench) -> None:
    """Nor are all of its flush: where nothing was taken back, every place of the table holds a message."""
    async with at.aggregator(shards=1):
        await at.streams.append(0, registration(1), registration(2))
        await at.counted()
        await at.streams.append(0, *(registration(n, subject="Again") for n in range(1, 21)))
        await at.counted()
    assert await at.value("SELECT count(*) FROM message WHERE subject = 'Again'") == 18
    assert await at.value("SELECT max((ctid::text::point)[1])::int FROM message") == 20


async def test_who_registers_old_messages_again_holds_up_the_others_once(at: Bench) -> None:
    """Of messages that are not remembered any more: the next flushes with others' take nothing back."""
    last = "SELECT max((ctid::text::point)[1])::int FROM message"
    async with at.aggregator(shards=1, message_cache=1):
        for n in (1, 2, 3, 4):
            await at.streams.append(0, registration(n, workspace=2))
            await at.counted()
        stored = []
        for turn in range(3):
            again = [registration(1, workspace=2), registration(10 + turn, workspace=2)]
            await at.streams.append(0, *again, *(registration(5 * turn + n) for n in range(5)))
            await at.counted()
            stored.append(await at.value(last))
    assert stored == [stored[0], stored[0] + 6, stored[0] + 12]
    assert stored[0] > 4 + 6
    counts = "SELECT array_agg(n ORDER BY n) FROM (SELECT count(*) AS n FROM message GROUP BY workspace) AS c"
    assert await at.value(counts) == [7, 15]


async def test_names_of_campaigns_are_remembered_by_their_size(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may have 2 KB: two hundred thousand of them were half of what a container has."""
    monkeypatch.setattr(dimensions, "REMEMBERED_CHARACTERS", 1000)
    made = dimensions.Dimensions(100, AggregatorMetrics(CollectorRegistry()))
    kept = []
    for n in range(4):
        of = replace(registration(n), campaign=f"c{n}", campaign_name="x" * 600)
        await made.prepare(at.db, [of], [])
        kept.append(len(made._campaigns))
    assert kept == [1, 2, 1, 2]
