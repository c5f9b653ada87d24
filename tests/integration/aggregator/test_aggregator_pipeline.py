"""From the streams to the tables, on a real Postgres and a real Redis."""

from collections.abc import AsyncIterator

import pytest

from postmeter.shared.stream.events import EventType, State
from tests.aggregation import AT, Bench, bench, event, hit, registration
from tests.integration.flushes import sides
from tests.waiting import until


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


async def test_registered_messages_and_their_hits_are_counted(at: Bench) -> None:
    await at.streams.append(0, registration(1), registration(2))
    await at.streams.append(
        1, hit(1), hit(1, AT + 5), hit(2, url="https://a.example/"), hit(2, user_agent=b"Mozilla/5.0")
    )
    await at.streams.append(2, hit(2, prefetch=True), event(EventType.SENT, 1), event(EventType.DELIVERED, 1))
    async with at.aggregator():
        await at.counted()

        async def none_waits() -> bool:
            return bool(await at.value("SELECT count(*) FROM waiting") == 0)

        await until(none_waits)
    expected = {
        "sent": 1,
        "delivered": 1,
        "trackable": 1,
        "human_opens": 2,
        "proxy_opens": 1,
        "machine_opens": 1,
        "unique_opens": 2,
        "human_clicks": 1,
        "unique_clicks": 1,
    }
    for table in ("activity_15m", "activity_1h", "activity_1d"):
        assert await at.total(table) == expected
    assert await at.value("SELECT count(*) FROM event") == 7
    assert await at.value("SELECT state FROM message WHERE sent_at IS NOT NULL") == State.DELIVERED


async def test_of_registrations_of_one_message_in_one_flush_the_first_holds(at: Bench) -> None:
    """Its series is that of the message, of the cohorts, and of what counts; its provider's name is the message's."""
    other = registration(1, campaign="autumn", provider_message="sg-other")
    names = [{"provider": "SENDGRID", "provider_message": name} for name in ("sg-1", "sg-other")]
    async with sides(at, 1) as (side,):
        await side.flush([registration(1), other, hit(1)])
        await side.flush([hit(1), *(event(EventType.DELIVERED, None, AT, **name) for name in names)])
    assert await at.value("SELECT count(*) FROM message") == 1
    assert await at.value("SELECT count(*) FROM waiting WHERE provider_message = 'sg-other'") == 1
    of_first = "SELECT sum({}) FROM {} JOIN series ON series = id WHERE campaign = 'spring'"
    assert await at.value(of_first.format("human_opens", "activity_1d")) == 2
    assert await at.value(of_first.format("delivered", "cohort_created_1d")) == 1


async def test_tags_are_kept_as_sent_and_their_order_makes_no_series(at: Bench) -> None:
    await at.streams.append(0, registration(1, tags=["b", "a"]), registration(2, tags=["a", "b"]))
    async with at.aggregator():
        await at.counted()
    assert await at.value("SELECT array_agg(tags::text ORDER BY id) FROM mail") == ["{b,a}", "{a,b}"]
    assert await at.value("SELECT array_agg(tags::text) FROM series") == ["{a,b}"]
