"""Events that name only an address: each counts once, for the one message that fits, or a person sees it."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from postmeter.aggregator.unregistered.addressed import BEFORE, KEEP_SECONDS
from postmeter.shared.stream.events import ADDRESSED, BounceType, EventType, State
from postmeter.shared.stream.records import Event, Mail, Record, Registration, idempotency_key
from tests.aggregation import AT, SECOND, Bench, bench, event, message, registration
from tests.integration.flushes import HOUR, Side, sides

SOURCE = "src_00000000000000000000"
DAY = 24 * HOUR


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        await made.db.execute(
            "INSERT INTO workspace (id, name) SELECT 'other-' || n, '' FROM generate_series(1, 3) AS n"
        )
        yield made


@pytest.fixture
async def three(at: Bench) -> AsyncIterator[list[Side]]:
    async with sides(at, 3) as made:
        yield made


def mail(n: int, **changes: Any) -> Mail:
    given: dict[str, Any] = {
        "source": SOURCE,
        "to_hash": f"{n:064x}",
        "to_domain": "reader.example",
        "from_address": "",
        "from_domain": "",
        "subject": "",
        "campaign": "",
        "template": "",
        "tags": [],
    }
    return Mail(**given | changes)


def addressed(n: int, when: int, kind: EventType = EventType.BOUNCED, workspace: int = 1, **changes: Any) -> Event:
    """An event of a webhook that names the n-th recipient and no message."""
    bounce = int(BounceType.HARD) if kind is EventType.BOUNCED else 0
    return event(
        kind,
        None,
        when,
        bounce=bounce,
        workspace=workspace,
        provider="SENDGRID",
        mail=mail(n, **changes),
        key=idempotency_key(workspace, f"{n} {when} {kind}"),
    )


async def look(at: Bench, side: Side, waited: float = 100.0) -> None:
    """Look at all of them, as if they had waited for so long."""
    await at.db.execute(
        "UPDATE waiting SET since = now() - $1::float8 * interval '1 second', look_at = now()"
        " WHERE look_at IS NOT NULL",
        waited,
    )
    await side.sweep()


async def state(at: Bench, n: int) -> State:
    return State(await at.value("SELECT state FROM message WHERE id = $1", message(n).hex()))


async def aside(at: Bench) -> list[str]:
    return [row["reason"] for row in await at.db.fetch("SELECT reason FROM dead_letter ORDER BY id")]


@pytest.mark.parametrize("kind", sorted(ADDRESSED))
async def test_it_counts_for_the_one_message_that_fits(at: Bench, three: list[Side], kind: EventType) -> None:
    """Also for a message that is registered after it."""
    await three[0].flush([addressed(1, AT + HOUR, kind)])
    await three[1].flush([registration(1), registration(2)])
    assert await at.total() == {}
    await look(at, three[2])
    counters = {
        EventType.BOUNCED: {"hard_bounced": 1},
        EventType.FAILED: {"failed": 1},
        EventType.COMPLAINED: {"complained": 1},
        EventType.UNSUBSCRIBED: {"unsubscribed": 1, "unique_unsubscribed": 1},
    }
    assert await at.total() == counters[kind]
    (found,) = await three[0].connection.fetch("SELECT message, source, at FROM event")
    assert (found["message"].bytes, found["source"], found["at"]) == (message(1), SOURCE, AT + HOUR)
    assert await at.value("SELECT count(*) FROM waiting") == 0
    await look(at, three[2])
    assert await at.total() == counters[kind]
    assert await aside(at) == []


async def test_it_is_not_looked_at_before_registrations_of_its_minute_are_counted(at: Bench, three: list[Side]) -> None:
    await three[0].flush([registration(1), addressed(1, AT)])
    await three[1].sweep()
    assert await at.total() == {}
    assert await at.value("SELECT look_at - since >= '1 minute' FROM waiting")


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([registration(2, to_hash=f"{1:064x}")], {}),
        ([registration(2, to_hash=f"{1:064x}", created=AT - 4 * DAY)], {}),
        ([registration(2, to_hash=f"{1:064x}", subject="")], {"subject": "Hello"}),
    ],
)
async def test_several_that_fit_are_for_a_person(
    at: Bench, three: list[Side], others: list[Record], told: dict[str, Any]
) -> None:
    await three[0].flush([registration(1), *others, addressed(1, AT + 60 * SECOND, **told)])
    await look(at, three[0])
    assert await at.total() == {}
    assert await aside(at) == [f"webhook {SOURCE}: bounced names only an address, and several messages to it fit"]
    assert await at.value("SELECT workspace FROM dead_letter") == 1


@pytest.mark.parametrize(
    "other",
    [
        {"provider": "POSTMARK"},
        {"workspace": 2},
        {"created": AT - BEFORE},
        {"created": AT + 2 * HOUR},
        {"subject": "Another"},
        {"to_hash": "0" * 64},
    ],
    ids=str,
)
async def test_what_does_not_fit(at: Bench, three: list[Side], other: dict[str, Any]) -> None:
    """Another provider's, another tenant's, too old, too new, of another subject, to somebody else."""
    unfit: Registration = registration(2, **{"to_hash": f"{1:064x}"} | other)
    late = addressed(1, AT + 60 * SECOND, subject="Hello")
    await three[0].flush([unfit, late])
    await look(at, three[0])
    assert (await at.total(), await aside(at)) == ({}, [])
    await three[1].flush([registration(1)])
    await look(at, three[0])
    assert await at.total() == {"hard_bounced": 1}
    assert await state(at, 1) is State.HARD_BOUNCED


@pytest.mark.parametrize("also_another", [False, True])
@pytest.mark.parametrize("told", ["", "shop.example", "other.example"])
async def test_a_confined_keys_message_takes_no_event_of_another_domain(
    at: Bench, three: list[Side], told: str, also_another: bool
) -> None:
    """It fits where the webhook tells its domain. Where none is told it takes nothing, but may be whose event it is."""
    claimed = registration(1, confined=True, from_domain="shop.example")
    others = [registration(2, to_hash=f"{1:064x}")] if also_another else []
    await three[0].flush([claimed, *others, addressed(1, AT + HOUR, from_domain=told)])
    await look(at, three[1], KEEP_SECONDS)
    fitting = (told != "other.example") + also_another
    counted = fitting == 1 and (told or also_another)
    assert await at.total() == ({"hard_bounced": 1} if counted else {})
    assert (await state(at, 1) is State.HARD_BOUNCED) == (counted and not also_another)
    assert len(await aside(at)) == (not counted)


async def test_none_for_a_day_is_for_a_person(at: Bench, three: list[Side]) -> None:
    await three[0].flush([addressed(1, AT)])
    await look(at, three[0], KEEP_SECONDS / 2)
    assert await aside(at) == []
    assert await at.value("SELECT look_at - now() > interval '11 hours' FROM waiting")
    await look(at, three[0], KEEP_SECONDS)
    assert await aside(at) == [f"webhook {SOURCE}: bounced names only an address, and no message to it is known"]
    assert await at.value("SELECT count(*) FROM waiting") == 0


async def test_mail_that_nobody_registered_fits_also_while_it_is_registered(at: Bench, three: list[Side]) -> None:
    sent = event(EventType.SENT, None, AT, provider="SENDGRID", provider_message="sg-1", mail=mail(1))
    await three[0].flush([sent, addressed(1, AT + HOUR)])
    await look(at, three[0])
    assert await at.total() == {"sent": 1, "hard_bounced": 1}
    await three[1].flush([registration(1), addressed(1, AT + 2 * HOUR)])
    await three[2].adopt()
    await look(at, three[0])
    assert await at.total() == {"sent": 1, "hard_bounced": 2}
    assert {row["message"].bytes for row in await at.db.fetch("SELECT message FROM event")} == {message(1)}


async def test_two_sides_that_look_at_once_count_once(at: Bench, three: list[Side]) -> None:
    await three[0].flush([*(registration(n) for n in range(1, 30)), *(addressed(n, AT) for n in range(1, 30))])
    await three[1].flush([addressed(1, AT)])  # told again
    await at.db.execute("UPDATE waiting SET look_at = now()")
    await asyncio.gather(*(side.sweep() for side in three))
    await three[0].sweep()
    assert await at.total() == {"hard_bounced": 29}


@pytest.mark.parametrize("seed", range(4))
async def test_the_order_in_which_things_arrive_does_not_matter(at: Bench, three: list[Side], seed: int) -> None:
    """In any order through any shards all ends as where each event had named its message."""
    noise = random.Random(seed)
    found: list[Record] = []
    named: list[Record] = []
    for n in range(1, 25):
        mails = noise.randrange(3)
        found += [registration(100 * mail + n, to_hash=f"{n:064x}", created=AT + mail * HOUR) for mail in range(mails)]
        when, kind = AT + 2 * HOUR + noise.randrange(DAY), noise.choice(sorted(ADDRESSED))
        found += [addressed(n, when, kind), addressed(n, when, kind)]
        found.append(event(EventType.SENT, n, AT + HOUR))
        if mails == 1:
            named.append(event(kind, n, when, bounce=int(BounceType.HARD) if kind is EventType.BOUNCED else 0))
    named += [one for one in found if type(one) is Registration or (type(one) is Event and one.type == EventType.SENT)]
    # What repeats goes through one shard, as do all events of one message.
    noise.shuffle(found)
    for one in found:
        of = one.mail if type(one) is Event else one
        place = of.to_hash if type(of) is Registration or type(of) is Mail else "0"
        await three[int(place, 16) % 3].flush([one])
    await look(at, three[noise.randrange(3)], KEEP_SECONDS)
    await three[0].sweep()
    counted, states = await at.total(), await _states(at, 1)
    await at.db.execute("TRUNCATE message, event, engagement, waiting")
    for table in ("activity_15m", "activity_1h", "activity_1d"):
        await at.db.execute(f"TRUNCATE {table}")
    three[0].forget()  # what is gone
    await three[0].flush(named, "named")
    await three[0].sweep()
    assert (await at.total(), await _states(at, 1)) == (counted, states)


async def _states(at: Bench, workspace: int) -> list[tuple[Any, ...]]:
    rows = await at.db.fetch("SELECT id, state FROM message WHERE workspace = $1 ORDER BY id", workspace)
    return [tuple(row) for row in rows]


async def test_a_recipient_of_much_mail_costs_little(at: Bench, three: list[Side]) -> None:
    """The look for its messages is bounded by an index: of old mail nothing is read."""
    await three[0].flush([registration(n, to_hash=f"{1:064x}", created=AT - 20 * DAY) for n in range(2000)])
    await at.db.execute("ANALYZE message")
    plan = await three[0].connection.fetch(
        "EXPLAIN (ANALYZE, BUFFERS) SELECT id FROM mail WHERE workspace = 1 AND to_hash = $1"
        " AND created_at BETWEEN $2 AND $3 AND provider = 'SENDGRID' LIMIT 2",
        f"{1:064x}",
        AT - BEFORE,
        AT,
    )
    text = "\n".join(row[0] for row in plan)
    assert "to_hash" in text
    assert "Rows Removed by Filter" not in text
