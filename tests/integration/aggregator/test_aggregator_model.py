"""Any order, splitting, repetition and routing of the same records ends in the tables of a plain model."""

import random
from collections.abc import AsyncIterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import Event, Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.integration.aggregator_model import Model, check_live, check_tables, entries, in_workspace
from tests.integration.aggregator_sums import check_sums
from tests.waiting import until

WORKSPACES = count(1000)
CAMPAIGNS = ("spring", "summer")
MESSAGES = range(3)
HOURS = 3600 * SECOND
DAY = 24 * HOURS

moments = st.integers(-40 * HOURS, 40 * HOURS).map(lambda offset: AT + offset)
numbers = st.sampled_from(MESSAGES)
opens_and_clicks = st.builds(
    hit,
    numbers,
    moments,
    url=st.sampled_from(["", "", "https://a.example/x"]),
    prefetch=st.sampled_from([False, False, True]),
    user_agent=st.sampled_from([b"Thunderbird", b"Mozilla/5.0", b"\xff\0"]),
)
keys = st.sampled_from(["", "", "k1", "k2", "k3"])


@st.composite
def told_events(draw: st.DrawFn) -> Event:
    common = [EventType.SENT, EventType.SENT, EventType.SENT, EventType.DELIVERED, EventType.BOUNCED] * 3
    kind = draw(st.sampled_from([*common, *(t for t in EventType if t is not EventType.RECEIVED)]))
    n = draw(numbers)
    named = draw(st.booleans())
    return event(
        kind,
        None if named else n,
        draw(moments),
        provider="SENDGRID" if named else "",
        provider_message=f"sg-{n}" if named else "",
        bounce=int(draw(st.sampled_from(BounceType))) if kind is EventType.BOUNCED else 0,
        user_agent=draw(st.sampled_from([b"", b"Mozilla/5.0"])),
        url=draw(st.sampled_from(["", "https://a.example/x", "https://a.example/y"])),
        reason=draw(st.sampled_from(["", "mailbox full", "550 5.1.1 no such user"])),
    )


received_mail = st.builds(
    event,
    st.just(EventType.RECEIVED),
    at=moments,
    domain=st.sampled_from(["in.example", "shop.example"]),
    size_bytes=st.integers(0, 10**9),
    spam=st.booleans(),
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Record, str]]:
    """(record, idempotency key or ''), one record per key."""
    found: list[tuple[Record, str]] = []
    for n in draw(st.sets(numbers)):
        campaign = CAMPAIGNS[n % 2]
        created = draw(moments | st.sampled_from([AT, AT, AT - 200 * DAY, AT - 1500 * DAY]))
        one = registration(n, created=created, campaign=campaign, campaign_name=campaign.title())
        found += [(one, "")] * draw(st.integers(1, 2))
    few_or_many = st.sampled_from([0, 12])
    hits = st.lists(opens_and_clicks, min_size=draw(few_or_many), max_size=25)
    told = st.tuples(told_events() | told_events() | told_events() | received_mail, keys)
    found += [(one, "") for one in draw(hits)]
    by_key: dict[str, Event] = {}
    for of_key, key in draw(st.lists(told, min_size=draw(few_or_many), max_size=25)):
        found.append((by_key.setdefault(key, of_key) if key else of_key, key))
    return found


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with (
        bench(postgres_dsn, redis_url) as made,
        made.aggregator(),
        made.aggregator(batch_records=5),
        made.aggregator(flush_pause=0.0),
    ):
        yield made


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=histories(), seed=st.integers(0, 2**32))
async def test_any_order_ends_in_the_same_tables(at: Bench, found: list[tuple[Record, str]], seed: int) -> None:
    workspace = next(WORKSPACES)
    noise = random.Random(seed)
    for shard, batch_id, packed in entries([in_workspace(r, key, workspace) for r, key in found], noise):
        await at.streams.append(shard, batch_id=f"{workspace}-{batch_id}", packed=packed)
    model = Model(found)
    await at.counted()

    async def settled() -> bool:
        waiting = await at.value("SELECT count(*) FROM waiting WHERE workspace = $1", workspace)
        return bool(waiting == model.waiting)

    await until(settled)
    await check_tables(at.db, workspace, model)
    await check_sums(at.db, workspace)
    await check_live(at, workspace, model)
