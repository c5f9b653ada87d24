"""Two flushes that meet on the same messages, in every order: cohorts and totals stay exact."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from itertools import product

import pytest

from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.integration.aggregator_model import Model, check_tables
from tests.integration.flushes import HOUR, Side, crowd, meet, of_workspace, sides

BEFORE: dict[str, list[Record]] = {
    "new": [],
    "sent": [event(EventType.SENT, 1, AT + 2 * HOUR)],
    "opened": [hit(1, AT + 4 * HOUR)],
}
MEETING: dict[str, list[Record]] = {
    "open": [hit(1, AT + 5 * HOUR)],
    "earlier open and click": [hit(1, AT + 3 * HOUR), hit(1, AT + 3 * HOUR, url="https://a.example/x")],
    "sent": [event(EventType.SENT, 1, AT + 3 * HOUR)],
    "sent earlier": [event(EventType.SENT, 1, AT + HOUR)],
    "sent and opened": [event(EventType.SENT, 1, AT), hit(1, AT + HOUR)],
    "delivered": [event(EventType.DELIVERED, 1, AT + 4 * HOUR)],
}


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


async def test_flushes_that_meet_on_a_message(at: Bench) -> None:
    models = {}
    async with sides(at, 2) as (one, other):
        for workspace, (before, first, second) in enumerate(product(BEFORE, MEETING, MEETING), 1):
            found = of_workspace(workspace, [registration(1), *BEFORE[before]])
            met = of_workspace(workspace, MEETING[first]), of_workspace(workspace, MEETING[second])
            await one.flush(found)
            await meet(at, one, met[0], other, met[1])
            models[workspace] = f"{before}, {first}, {second}", Model([(r, "") for r in (*found, *met[0], *met[1])])
    for workspace, (name, model) in models.items():
        try:
            await check_tables(at.db, workspace, model)
        except AssertionError as error:
            raise AssertionError(name) from error


async def test_a_server_whose_transactions_are_stricter_by_default_makes_no_difference(at: Bench) -> None:
    """Else the second one does not see what it has waited for, and is refused again and again."""
    name = await at.value("SELECT quote_ident(current_database())")
    await at.db.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    found = [registration(1), *BEFORE["sent"]]
    async with sides(at, 2, together=True) as (one, other):
        await one.flush(found)
        await meet(at, one, MEETING["sent earlier"], other, MEETING["open"])
    model = Model([(r, "") for r in (*found, *MEETING["sent earlier"], *MEETING["open"])])
    await check_tables(at.db, 1, model)


MESSAGES = 40
FLUSHES = 12


async def test_flushes_at_once_end_exact_and_never_wait_in_a_circle(at: Bench) -> None:
    noise = random.Random(11)
    told = [crowd(noise, MESSAGES) for _ in range(3 * FLUSHES)]
    registered: list[Record] = [
        registration(n, campaign=f"c{n % 3}", created=AT + n % 7 * 1000 * SECOND) for n in range(MESSAGES)
    ]

    async def work(side: Side, batches: list[int]) -> None:
        # Every side registers every message, a repeated batch is a batch that another side has counted as well.
        await side.flush(noise.sample(registered, MESSAGES))
        for number in batches:
            await side.flush(told[number], f"batch-{number}")

    async with sides(at, 3) as three:
        async with asyncio.TaskGroup() as tasks:
            for place, side in enumerate(three):
                tasks.create_task(work(side, [n for n in range(len(told)) if n % 3 == place or n % 5 == 0]))
        while await at.value("SELECT count(*) FROM waiting"):
            await three[0].sweep()
    model = Model([(r, "") for r in (*registered, *(r for found in told for r in found))])
    await check_tables(at.db, 1, model)


def spread(n: int) -> bytes:
    """An id that is not a UUIDv7: such messages lie in the default partition, where pruning has the most to do."""
    return hashlib.md5(str(n).encode(), usedforsecurity=False).digest()


async def test_a_large_flush_that_meets_another_one_leaves_the_server_standing(at: Bench) -> None:
    """Counts stay exact, and the server up. It did not bring down the statement that crashed Postgres (ADR 0010):
    what this test holds is the counts."""
    many = 3000
    crashes = "SELECT stats_reset::text FROM pg_stat_bgwriter"
    async with sides(at, 2) as (one, other):
        await one.flush([registration(n, message=spread(n)) for n in range(many)])
        before = await at.value(crashes)
        for number in range(3):
            early, late = AT + (3 - number) * HOUR, AT + (9 - number) * HOUR
            touched: list[Record] = [event(EventType.SENT, n, early, message=spread(n)) for n in range(0, many, 400)]
            met: list[Record] = [event(EventType.DELIVERED, n, late, message=spread(n)) for n in range(many)]
            met += [hit(n, late, message=spread(n)) for n in range(0, many, 7)]
            await meet(at, one, touched, other, met)
        assert await at.value(crashes) == before
        assert await at.value("SELECT sum(mailed) FROM cohort_sent_15m WHERE series = 0") == len(range(0, many, 400))
