"""Statements find a message by its key, however few there were when they were planned."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from postmeter.aggregator.store.plans import ENOUGH, _month
from postmeter.shared.privacy.levels import Level
from postmeter.shared.storage import uuid7
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import EventType, Verdict
from postmeter.shared.stream.records import Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, message, registration
from tests.integration.flushes import Side, sides

FEW, MANY = 40, ENOUGH + 200
DAY = 86_400 * SECOND
READ = """
    SELECT (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname LIKE 'message\\_%')::bigint
        + (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname LIKE 'message\\_%')::bigint
"""


def in_another_month(n: int) -> bytes:
    """The id of a message of the month before that of `message`."""
    return uuid7.floor(AT // 1000 - 31 * 86_400_000).bytes[:6] + message(n)[6:]


def registered(numbers: range, of: Callable[[int], bytes]) -> list[Record]:
    return [registration(n, message=of(n)) for n in numbers]


def happening(numbers: range, of: Callable[[int], bytes]) -> list[Record]:
    found: list[Record] = []
    for n in numbers:
        found += [
            event(EventType.SENT, at=AT + SECOND, message=of(n)),
            event(EventType.DELIVERED, at=AT + 2 * SECOND, message=of(n)),
            hit(n, AT + 60 * SECOND, message=of(n)),
            hit(n, AT + 70 * SECOND, message=of(n), url="https://shop.example/"),
        ]
    return found


async def read(at: Bench, side: Side) -> int:
    """Rows of indexes on messages that were read so far."""
    await side.connection.fetchval("SELECT pg_stat_force_next_flush()")
    await side.connection.fetchval("SELECT 1")
    return int(await at.value(READ))


async def test_a_plan_of_an_empty_month_is_not_kept_when_the_month_is_full(postgres_dsn: str) -> None:
    async with bench(postgres_dsn, "redis://127.0.0.1:1") as at, sides(at, 2, together=True) as (one, other):
        # Often enough for generic plans, and of so many messages that these seem cheaper than plans of the moment.
        for side, start in ((one, 0), (other, FEW)):
            for _ in range(10):
                few = range(start, start + FEW)
                await side.flush([*registered(few, message), *happening(few, message)])
        await one.flush(registered(range(2 * FEW, MANY), in_another_month))
        for side, numbers in ((one, range(2 * FEW, MANY // 2)), (other, range(MANY // 2, MANY))):
            before = await read(at, side)
            await side.flush(happening(numbers, in_another_month))
            assert await read(at, side) - before < 40 * len(numbers)


@pytest.mark.parametrize(
    ("earlier", "later", "same"),
    [("2026-01-01", "2026-01-31", True), ("2026-01-31", "2026-02-01", False), ("2025-03-01", "2026-03-01", False)],
)
def test_a_month_is_that_of_the_partition(earlier: str, later: str, same: bool) -> None:
    first, second = (
        _month(uuid7.new(int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)).bytes)
        for day in (earlier, later)
    )
    assert (first == second) is same
    assert _month(b"\xff" * 16) == date.max.year * 12 + 12


def told_by_name(numbers: range) -> list[Record]:
    names = [{"provider": "SENDGRID", "provider_message": f"sg-{n}"} for n in numbers]
    return [event(EventType.DELIVERED, None, AT + SECOND, **name) for name in names]


async def test_a_provider_s_name_of_a_message_is_looked_up_however_many_there_are(postgres_dsn: str) -> None:
    """Also in a month that was empty when it was planned, and where most messages have no name."""
    async with bench(postgres_dsn, "redis://127.0.0.1:1") as at, sides(at, 1) as (side,):
        for _ in range(10):
            await side.flush([*registered(range(FEW), message), *told_by_name(range(FEW))])
        await side.flush(registered(range(FEW, MANY), in_another_month))
        await side.flush(
            [registration(n, message=in_another_month(n), provider_message="") for n in range(MANY, 2 * MANY)]
        )
        for start in (FEW, FEW + 1):
            numbers = range(start, MANY, 2)
            before = await read(at, side)
            await side.flush(told_by_name(numbers))
            assert await read(at, side) - before < 40 * len(numbers)
            await at.db.execute("ANALYZE message")
        assert (await at.total())["delivered"] == MANY + 9 * FEW


def of_recipients(numbers: range) -> Iterator[tuple[str, list[Any]]]:
    """The statements that look for recipients' messages, with what they are given."""
    workspaces, hashes = [1] * len(numbers), [f"{n:064x}" for n in numbers]
    days, texts = ([AT - DAY] * len(numbers), [AT + DAY] * len(numbers)), [""] * len(numbers)
    addressed = Queries("postmeter.aggregator.unregistered", "addressed.sql")
    yield addressed["fitting"], [workspaces, ["SENDGRID"] * len(numbers), hashes, *days, texts, texts]
    levels = [int(Level.OFF)] * len(numbers)
    consents = Queries("postmeter.aggregator.store", "consents.sql")
    yield consents["too_high"], [workspaces, hashes, levels, levels, 1000]
    conversions = Queries("postmeter.aggregator.conversions", "conversions.sql")
    yield conversions["uncounted"], [workspaces, hashes, 50]
    clicked = int(EventType.CLICKED), int(Verdict.HUMAN)
    yield conversions["last_clicks"], [workspaces, hashes, days[1], 50, *clicked]


async def test_a_recipient_s_messages_are_looked_up_however_many_there_are(postgres_dsn: str) -> None:
    async with bench(postgres_dsn, "redis://127.0.0.1:1") as at, sides(at, 1) as (side,):
        for statement, given in 10 * [*of_recipients(range(FEW))]:
            assert not [row for row in await side.connection.fetch(statement, *given) if row[0] is not None]
        for start in range(0, 2 * MANY, MANY):
            await side.flush(registered(range(start, start + MANY), message))
        for statement, given in of_recipients(range(FEW)):
            before = await read(at, side)
            await side.connection.fetch(statement, *given)
            assert await read(at, side) - before < 10 * FEW, statement
