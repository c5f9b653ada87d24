"""What is odd in a stream: repetitions, garbage, records without their message, times and names out of bounds."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.typing import EncodableT, FieldT

from postmeter.aggregator.stream import reader
from postmeter.aggregator.unregistered.waiting import BEGINNING, SWEEP_LIMIT, Place
from postmeter.shared.stream import records, streams
from postmeter.shared.stream.events import BounceType, EventType, State
from postmeter.shared.stream.records import Event
from tests.aggregation import AT, SECOND, Bench, batch, bench, event, hit, registration
from tests.integration.flushes import sides
from tests.waiting import until

YEAR = 366 * 86400 * SECOND


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


def keyed(name: str, digest: bytes = b"one", **changes: Any) -> Event:
    return event(EventType.SENT, 1, key=records.idempotency_key(1, name), digest=digest, **changes)


async def count(at: Bench) -> None:
    async with at.aggregator():
        await at.counted()


async def letters(at: Bench) -> dict[str, int]:
    rows = await at.db.fetch("SELECT split_part(reason, ':', 1), count(*) FROM dead_letter GROUP BY 1")
    return {row[0]: row[1] for row in rows}


async def test_repeated_batches_and_keys_count_once(at: Bench) -> None:
    for _ in range(3):
        await at.streams.append(0, registration(1), hit(1), keyed("a"), keyed("a"), batch_id="same")
    await at.streams.append(0, keyed("a"), keyed("b"))
    await count(at)
    await at.streams.append(0, hit(1), batch_id="same")
    await at.streams.append(0, keyed("b"), keyed("c"))
    await count(at)
    assert await at.total() == {"human_opens": 1, "unique_opens": 1, "sent": 3}
    assert await letters(at) == {}


async def test_a_key_of_an_earlier_day_is_remembered(at: Bench) -> None:
    key = records.idempotency_key(1, "old")
    yesterday = "date_trunc('day', now()) - interval '1 day'"
    await at.db.execute(
        f"INSERT INTO dedup VALUES (1, $1, {yesterday}, $2), (0, $3, {yesterday}, NULL)", key, b"one", b"b"
    )
    await at.streams.append(0, registration(1), keyed("old"), batch_id="a")
    await at.streams.append(0, hit(1), batch_id="b")
    await count(at)
    assert await at.total() == {}


CLOCK = """
CREATE SCHEMA night;
CREATE FUNCTION night.now() RETURNS timestamptz STABLE LANGUAGE sql AS
    $$ SELECT date_trunc('day', pg_catalog.now()) + current_setting('night.since')::interval $$;
GRANT USAGE ON SCHEMA night TO PUBLIC
"""


@pytest.mark.parametrize(
    ("first", "second"),
    [("-1 second", "1 second"), ("1 second", "-1 second"), ("59 minutes", "61 minutes"), ("61 minutes", "59 minutes")],
)
async def test_what_comes_twice_at_once_around_midnight_counts_once(at: Bench, first: str, second: str) -> None:
    """In two shards, as after a change of their number; each transaction has its own day."""
    await at.db.execute(CLOCK)
    async with sides(at, 2) as (one, other):
        for side in (one, other):
            await side.flush([registration(1), hit(1)])  # what they need is made, and known
        for side, since in ((one, first), (other, second)):
            await side.connection.execute("SET search_path = night, public, pg_catalog")
            await side.connection.execute("SELECT set_config('night.since', $1, false)", since)
        async with one.connection.transaction():
            await one.flush([hit(1), keyed("a")], "spooled")
            again = asyncio.create_task(other.flush([hit(1), keyed("a")], "spooled"))
            waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"

            async def stands() -> bool:
                return again.done() or bool(await at.value(waits, other.connection.get_server_pid()))

            await until(stands)
        await again
        await other.flush([keyed("a"), keyed("a", b"two")])
    assert await at.total() == {"human_opens": 3, "unique_opens": 1, "sent": 1}
    assert await letters(at) == {"idempotency key repeated with another body": 1}


async def test_a_key_with_another_body_is_put_aside(at: Bench) -> None:
    await at.streams.append(0, registration(1), keyed("a"), keyed("a", b"two"))
    await at.streams.append(0, keyed("a", b"six"))
    await count(at)
    assert await at.total() == {"sent": 1}
    assert await letters(at) == {"idempotency key repeated with another body": 2}


async def test_keys_of_workspaces_do_not_meet(at: Bench) -> None:
    for workspace in (1, 2):
        one = event(EventType.SENT, 1, workspace=workspace, key=b"k" * 16)
        await at.streams.append(0, registration(1, workspace=workspace), one)
        await count(at)
    assert await at.total() == {"sent": 2}


async def test_what_cannot_be_read_is_put_aside_and_the_rest_counts(at: Bench) -> None:
    good = records.encode(hit(1))
    await at.streams.append(0, registration(1), packed=None)
    await at.streams.append(0, packed=b"\xc1 garbage")
    await at.streams.append(0, packed=records.join([good, b"\x93\x01\x02\x03", good]))
    await at.client.xadd(streams.stream(0), {b"other": b"fields"})
    await at.streams.append(0, hit(1))
    await count(at)
    assert await at.total() == {"human_opens": 3, "unique_opens": 1}
    assert await letters(at) == {"unreadable": 3}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (hit(1, url="https://a.example/\0"), "text"),
        (hit(1, message=b"short"), "message"),
        (hit(1, workspace=2**40), "workspace"),
        (hit(1, at=2**62), "time"),
        (registration(2, subject="nul\0"), "text"),
        (registration(2, tags=["nul\0"]), "text"),
        (registration(2, created=-5), "time"),
        (event(EventType.SENT, 1, type=99), "type"),
        (event(EventType.BOUNCED, 1), "bounce"),
        (event(EventType.SENT), "unaddressed"),
        (event(EventType.SENT, message=b"short"), "message"),
        (event(EventType.SENT, 1, reason="nul\0"), "text"),
        (event(EventType.RECEIVED, domain="a.example", size_bytes=2**62), "number"),
        (event(EventType.SENT, 1, claimed=-(2**62)), "number"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_what_cannot_be_counted_is_put_aside_and_the_rest_counts(at: Bench, record: Any, reason: str) -> None:
    await at.streams.append(0, registration(1), hit(1), record, hit(1))
    await count(at)
    assert await at.total() == {"human_opens": 2, "unique_opens": 1}
    assert await letters(at) == {reason: 1}


async def test_what_only_postgres_refuses_never_blocks_the_shard(at: Bench) -> None:
    """Keys too long for an index, among good records of every kind."""
    long = random.Random(1).randbytes(6000).hex()
    await at.streams.append(
        0,
        registration(1),
        registration(2, campaign=long),
        hit(1),
        registration(3, template=long),
        event(EventType.SENT, 1),
        event(EventType.SENT, 1, key=long.encode()),
        hit(1),
    )
    await at.streams.append(0, hit(1))
    await count(at)
    assert await at.total() == {"human_opens": 3, "unique_opens": 1, "sent": 1}
    assert await letters(at) == {"refused": 3}
    assert await at.value("SELECT count(*) FROM message") == 1


async def test_events_wait_for_their_message(at: Bench) -> None:
    told = event(EventType.DELIVERED, provider="SENDGRID", provider_message="sg-1")
    await at.streams.append(0, hit(1, AT + 5), told, event(EventType.BOUNCED, 1, bounce=BounceType.HARD))
    await count(at)
    assert await at.total() == {}
    assert await at.value("SELECT count(*) FROM waiting") == 3
    await at.streams.append(0, registration(1), hit(1, AT))
    await count(at)
    assert await at.value("SELECT count(*) FROM waiting") == 0
    assert await at.total() == {"human_opens": 2, "unique_opens": 1, "delivered": 1, "hard_bounced": 1, "trackable": 1}
    assert await at.value("SELECT sum(opens) FROM live_total") == 2


async def test_the_sweep_counts_what_slipped_through(at: Bench) -> None:
    """As after a park and a registration that could not see each other."""
    await at.streams.append(0, registration(1))
    await count(at)
    for since in ("now()", "now() - interval '1 day'"):
        await at.db.execute(
            f"INSERT INTO waiting (workspace, message, since, record) SELECT 1, id, {since}, $1 FROM message",
            records.encode(hit(1)),
        )
    async with at.aggregator():

        async def swept() -> bool:
            return bool(await at.value("SELECT count(*) FROM waiting") == 0)

        await until(swept)
    assert await at.total() == {"human_opens": 2, "unique_opens": 1}


async def test_a_sweep_looks_at_so_many_and_goes_on_behind_them(at: Bench) -> None:
    """However many wait whose messages never come, a look is bounded, and each is looked at."""
    await at.streams.append(0, registration(1))
    await count(at)
    for minutes in (9, 9, 9, 5, 5, 5, 1):  # as one flush parks them: at one moment
        await at.db.execute(
            "INSERT INTO waiting (workspace, message, since, record)"
            f" VALUES (1, gen_random_uuid(), date_trunc('day', now()) - interval '{minutes} min', $1)",
            records.encode(hit(2)),
        )
    await at.db.execute(
        "INSERT INTO waiting (workspace, message, since, record)"
        " SELECT 1, id, date_trunc('day', now()) - interval '5 min', $1 FROM message",
        records.encode(hit(1)),
    )
    async with sides(at, 1) as (side,):
        place: Place | None = BEGINNING
        left = []
        while place is not None:
            place = await side.sweep(place, 3)
            left.append(await at.value("SELECT count(*) FROM waiting"))
    assert left == [8, 8, 7]
    assert await at.total() == {"human_opens": 1, "unique_opens": 1}


async def test_a_full_sweep_is_followed_by_the_next_one(at: Bench) -> None:
    """After an outage many may have slipped through long ago; they are not left for the next minute."""
    many = 2 * SWEEP_LIMIT + 7
    await at.streams.append(0, registration(1))
    await count(at)
    await at.db.execute(
        "INSERT INTO waiting (workspace, message, since, record) SELECT 1, id, now() - interval '1 day', $1"
        f" FROM message, generate_series(1, {many})",
        records.encode(hit(1)),
    )
    async with at.aggregator():

        async def swept() -> bool:
            return bool(await at.value("SELECT count(*) FROM waiting") == 0)

        await until(swept)
    assert await at.total() == {"human_opens": many, "unique_opens": 1}


async def test_the_waiting_room_is_bounded(at: Bench) -> None:
    await at.streams.append(0, *(hit(7, AT + n) for n in range(10)), hit(7, workspace=2))
    async with at.aggregator(waiting_limit=4):
        await at.counted()
    assert await at.value("SELECT count(*) FROM waiting WHERE workspace = 1") == 4
    assert await at.value("SELECT count(*) FROM waiting WHERE workspace = 2") == 1
    assert await letters(at) == {"waiting room full": 6}


async def test_a_bomb_of_campaigns_ends_in_one_series(at: Bench) -> None:
    for n in range(12):
        await at.streams.append(0, registration(n, campaign=f"c{n}"), hit(n))
    async with at.aggregator(series_limit=3, batch_records=2):
        await at.counted()
    assert await at.value("SELECT count(*) FROM series") == 4
    assert await at.value("SELECT count(*) FROM mail WHERE campaign LIKE 'c%'") == 12
    assert await at.total() == {"human_opens": 12, "unique_opens": 12}
    other = "SELECT sum(human_opens) FROM activity_1d JOIN series ON series = id WHERE campaign = '(other)'"
    assert await at.value(other) == 9


async def test_late_events_count_in_their_own_bucket(at: Bench) -> None:
    now = time.time_ns() // 1000
    late, ancient, far = now - YEAR, now - 4 * YEAR, now + YEAR
    await at.streams.append(0, registration(1), hit(1, now), hit(1, late))
    await at.streams.append(
        0, event(EventType.SENT, 1, ancient, received=now), event(EventType.SENT, 1, far, received=now)
    )
    await count(at)
    rows = await at.db.fetch(
        "SELECT extract(epoch FROM bucket)::bigint AS t, * FROM activity_15m WHERE series <> 0 ORDER BY 1"
    )
    quarter = 900 * SECOND
    found = {row["t"]: (row["human_opens"], row["unique_opens"], row["sent"]) for row in rows}
    assert found == {late // quarter * 900: (1, 1, None), now // quarter * 900: (1, None, 2)}
    claimed = await at.db.fetch(
        "SELECT (extract(epoch FROM claimed_at) * 1000000)::bigint FROM event WHERE claimed_at IS NOT NULL ORDER BY 1"
    )
    assert [row[0] for row in claimed] == [ancient, far]


async def test_a_state_only_rises_and_its_times_only_become_earlier(at: Bench) -> None:
    await at.streams.append(0, registration(1), registration(2))
    told = [
        (EventType.DELIVERED, AT + 9),
        (EventType.SENT, AT + 5),
        (EventType.DELIVERED, AT + 7),
        (EventType.SENT, AT + 6),
    ]
    for kind, when in told:
        await at.streams.append(0, event(kind, 1, when))
        await at.streams.append(0, event(EventType.QUEUED, 2), event(EventType.SENDING, 2))
    async with at.aggregator(batch_records=1):
        await at.counted()
    epoch = "(extract(epoch FROM {}) * 1000000)::bigint"
    rows = await at.db.fetch(
        f"SELECT state, {epoch.format('sent_at')}, {epoch.format('delivered_at')} FROM message ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [(State.DELIVERED, AT + 5, AT + 7), (State.SENDING, None, None)]


async def test_history_keeps_no_whole_address(at: Bench) -> None:
    await at.streams.append(0, registration(1), hit(1), hit(1, ip="2001:db8:1:2::9"), hit(1, ip="nonsense"))
    await count(at)
    rows = await at.db.fetch("SELECT ip FROM history ORDER BY ip")
    assert [row["ip"] for row in rows] == ["2001:db8:1::", "203.0.113.0", None]


async def test_the_latest_registration_names_the_campaign(at: Bench) -> None:
    await at.streams.append(0, registration(1, at=AT + 2, campaign_name="New"))
    await at.streams.append(0, registration(2, at=AT + 1, campaign_name="Old"))
    await at.streams.append(0, registration(3, at=AT + 3, campaign_name=""))
    async with at.aggregator(batch_records=1):
        await at.counted()
    assert await at.value("SELECT name FROM campaign") == "New"


async def test_streams_are_trimmed_behind_the_position(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "TRIM_MARGIN_MS", 0)
    old: dict[FieldT, EncodableT] = {b"b": b"old", b"r": batch([registration(1)] * 200)}
    for n in range(300):
        await at.client.xadd(streams.stream(0), old, id=f"1700000000000-{n + 1}")
    await at.streams.append(0, hit(1))
    async with at.aggregator():

        async def trimmed() -> bool:
            return int(await at.client.xlen(streams.stream(0))) == 0

        async def counted() -> bool:
            return await at.total() == {"human_opens": 1, "unique_opens": 1}

        await until(trimmed)
        await until(counted)
