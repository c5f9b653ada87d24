"""What days count that do not change is kept (ADR 0067): it is what is read without, whatever changes meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from postmeter.aggregator.upkeep import day_sums
from postmeter.query.engine import kept_days
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.kept_days import KeptDays
from postmeter.query.engine.query import First, Query, Resolution, Row, Scope
from postmeter.query.metrics import DAY_RESULTS, KeptDaysMetrics
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import ACTIVITY, LINKS, Rollup
from tests.integration.counted_facts import Counted, fill
from tests.integration.running_query import Workspaces, workspaces

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAYS = 8
BEGIN = TODAY - timedelta(days=DAYS - 1)
MOST = 1 << 20
ADD = "UPDATE {} SET {counter} = coalesce({counter}, 0) + $3 WHERE workspace = $1 AND bucket = $2 AND series > 0"
TAKE = (
    "DELETE FROM {} WHERE workspace = $1 AND bucket >= $2 AND bucket < $2 + interval '24 hours'"
    " AND series IN (SELECT id FROM series WHERE workspace = $1 AND campaign = 'a')"
)


def facts(rollup: Rollup) -> list[Counted]:
    """Every day something of each of four series, at hours of the edges of days here and elsewhere."""
    counters = {"human_clicks": 5, "machine_clicks": 1} | ({"sent": 9} if rollup is ACTIVITY else {})
    return [
        Counted(
            BEGIN + timedelta(days=day, hours=hour),
            campaign=campaign,
            domain=domain,
            tags=frozenset(("x", "y") if campaign == "a" else ()),
            link=f"https://{campaign}.example/{hour}",
            counters=counters,
        )
        for day in range(DAYS)
        for hour in (1, 12, 23)
        for campaign in ("a", "b")
        for domain in ("x.example", "y.example")
    ]


def questions(workspace: int) -> list[Query]:
    scope, some = Scope(workspace, None), Scope(workspace, ("x.example",))
    end = TODAY + timedelta(hours=12, minutes=30)
    whole = Query(scope=scope, metrics=("sent", "clicks"), start=BEGIN, end=end, dimensions=("campaign",))
    links = replace(whole, metrics=("clicks", "machine_clicks"), dimensions=("link",), rollup=LINKS)
    return [
        whole,
        replace(whole, start=BEGIN + timedelta(hours=6), dimensions=("tag",)),
        replace(whole, dimensions=("campaign", "domain"), resolution=Resolution.DAY),
        replace(whole, zone=ZoneInfo("America/New_York"), resolution=Resolution.DAY),
        replace(whole, dimensions=(), filters={"campaign": ("b",)}, resolution=Resolution.HOUR),
        replace(whole, dimensions=(), scope=some, end=TODAY),
        links,
        replace(links, scope=some, filters={"campaign": ("a",)}, resolution=Resolution.DAY),
    ]


@dataclass(frozen=True)
class House:
    """A workspace whose days change. plain: reads all that it is asked for; keeps: what is looked at; registry: its
    metrics.
    """

    here: Workspaces
    workspace: int
    plain: Engine
    keeps: Engine
    registry: CollectorRegistry

    def metric(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"postmeter_query_kept_days_{name}", labels)
        assert found is not None
        return found

    async def result(self, query: Query) -> str:
        """Ask, and say what became of it."""
        before = {name: self.metric("total", result=name) for name in DAY_RESULTS}
        assert await self.keeps.rows(query) == await self.plain.rows(query)
        (result,) = (name for name in DAY_RESULTS if self.metric("total", result=name) != before[name])
        return result

    async def first(self, engine: Engine, query: Query) -> list[Row]:
        """The two groups with most clicks."""
        order = ("clicks", True), (query.dimensions[0], False)
        place = query.metrics.index("clicks")
        rows = await engine.rows(query, First(order, 2))
        return sorted(rows, key=lambda row: (-row.values[place], row.keys))[:2]

    async def all(self, engine: Engine, query: Query) -> list[tuple[object, ...]]:
        """The rows as a part of another statement."""
        asked = await engine.groups(query)
        assert asked is not None
        sql, parameters = asked
        return sorted(tuple(row) for row in await self.here.pool.fetch(f"SELECT * FROM ({sql}) AS found", *parameters))

    async def sum_up(self) -> None:
        await self.here.pool.execute(
            "UPDATE activity_day SET due = now() WHERE workspace = $1 AND state < 2 AND day < $2", self.workspace, TODAY
        )
        async with self.here.pool.acquire() as connection:
            while await day_sums.once(connection, 2):
                pass

    async def add(self, connection: Connection, day: int, number: int, counter: str = "human_clicks") -> None:
        """To each series at one o'clock of the day."""
        start = BEGIN + timedelta(days=day)
        for rollup in (ACTIVITY, LINKS):
            for tier in rollup.tiers:
                bucket = start if tier is rollup.tiers[-1] else start + timedelta(hours=1)
                if counter in rollup.counters:
                    await connection.execute(ADD.format(tier.table, counter=counter), self.workspace, bucket, number)

    async def take(self, connection: Connection, day: int) -> None:
        """All that a campaign did on that day."""
        for tier in (*ACTIVITY.tiers, *LINKS.tiers):
            await connection.execute(TAKE.format(tier.table), self.workspace, BEGIN + timedelta(days=day))

    async def erase(self, connection: Connection) -> None:
        """A link loses its URL, as an erasure has it."""
        await connection.execute(
            "UPDATE link SET url = '(erased) ' || id, digest = decode(md5('(erased) ' || id), 'hex') WHERE id = ("
            "SELECT id FROM link WHERE workspace = $1 AND url NOT LIKE '(erased)%' ORDER BY id LIMIT 1)",
            self.workspace,
        )


async def house(here: Workspaces) -> House:
    workspace = await here.workspace()
    async with here.pool.acquire() as connection, connection.transaction():
        await fill(connection, workspace, ACTIVITY, facts(ACTIVITY))
        await fill(connection, workspace, LINKS, facts(LINKS))
    registry = CollectorRegistry()
    keeps = Engine(here.pool, KeptDays(here.pool, MOST, KeptDaysMetrics(registry)))
    return House(here, workspace, Engine(here.pool), keeps, registry)


@pytest.fixture
async def settled(postgres_dsn: str) -> AsyncIterator[House]:
    """All days but today are summed up."""
    async with workspaces(postgres_dsn) as here:
        found = await house(here)
        await found.sum_up()
        yield found


days = st.integers(0, DAYS - 1)
changes = st.one_of(
    st.tuples(st.sampled_from(["sum_up", "sum_up", "erase"])),
    st.tuples(st.just("add"), st.sampled_from([*range(DAYS), *[DAYS - 1] * 4]), st.integers(1, 100)),
    st.tuples(st.just("take"), days),
)


def test_what_is_kept_is_what_is_read(postgres_dsn: str) -> None:
    """Whatever happens in between: late events, days that are summed up again, rows and URLs that go."""

    async def check(here: Workspaces, steps: list[tuple[tuple[object, ...], bool, set[int]]]) -> None:
        at = await house(here)
        asked = questions(at.workspace)
        for (what, *arguments), at_once, numbers in steps:
            if what == "sum_up":
                await at.sum_up()
            else:
                async with here.pool.acquire() as connection, connection.transaction():
                    await getattr(at, str(what))(connection, *arguments)
            for number in numbers:
                for _ in range(1 if at_once else 3):
                    assert await at.keeps.rows(asked[number]) == await at.plain.rows(asked[number])
                if asked[number].resolution is Resolution.TOTAL and asked[number].dimensions:
                    assert await at.first(at.keeps, asked[number]) == await at.first(at.plain, asked[number])
                    assert await at.all(at.keeps, asked[number]) == await at.all(at.plain, asked[number])

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        here = runner.run(stack.enter_async_context(workspaces(postgres_dsn)))

        @given(st.lists(st.tuples(changes, st.booleans(), st.sets(st.integers(0, 7), max_size=3)), max_size=10))
        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        def examples(steps: list[tuple[tuple[object, ...], bool, set[int]]]) -> None:
            runner.run(check(here, steps))

        examples()
        runner.run(stack.aclose())


async def test_what_moves_from_a_kept_day_to_today_is_never_counted_twice(settled: House) -> None:
    """Both parts are of one moment, though they are read at two."""
    (query, *_), totals, stop = questions(settled.workspace), set[int](), asyncio.Event()
    query = replace(query, dimensions=("campaign",), metrics=("sent",))

    async def move() -> None:
        while not stop.is_set():
            for day in (1, 4):
                async with settled.here.pool.acquire() as connection, connection.transaction():
                    await settled.add(connection, day, -1, "sent")
                    await settled.add(connection, DAYS - 1, 1, "sent")
            await settled.sum_up()

    moving = asyncio.create_task(move())
    for _ in range(150):
        totals.add(sum(sum(row.values) for row in await settled.keeps.rows(query)))
    stop.set()
    await moving
    assert len(totals) == 1


async def test_days_that_do_not_change_are_not_read_again(settled: House) -> None:
    query = questions(settled.workspace)[0]
    found = [await settled.keeps.rows(query) for _ in range(2)]
    # No day tells of this, and only who reads the sums sees it.
    await settled.here.pool.execute("UPDATE activity_by_1d SET sent = 7000 WHERE workspace = $1", settled.workspace)
    assert await settled.plain.rows(query) != found[0]
    async with settled.here.pool.acquire() as connection:
        await settled.add(connection, DAYS - 1, 1, "sent")
    (before, _), (after, _) = (row.values for row in found[1]), (row.values for row in await settled.keeps.rows(query))
    assert after[0] == before[0] + 2


async def test_more_than_may_be_kept_is_read_each_time(settled: House, monkeypatch: pytest.MonkeyPatch) -> None:
    query = questions(settled.workspace)[0]
    found = await settled.plain.rows(query)
    monkeypatch.setattr(kept_days, "MOST_CELLS", 1)
    for _ in range(3):
        assert await settled.keeps.rows(query) == found
    await settled.here.pool.execute("UPDATE activity_by_1d SET sent = 7000 WHERE workspace = $1", settled.workspace)
    assert await settled.keeps.rows(query) == await settled.plain.rows(query) != found


async def test_metrics_tell_what_kept_days_are_worth(settled: House, monkeypatch: pytest.MonkeyPatch) -> None:
    query, other, *_ = questions(settled.workspace)
    assert (settled.metric("questions"), settled.metric("bytes")) == (0, 0)
    assert [await settled.result(query) for _ in range(2)] == ["miss", "hit"]
    assert settled.metric("questions") == 1
    full = settled.metric("bytes")
    async with settled.here.pool.acquire() as connection:
        await settled.add(connection, DAYS - 3, 1)
    assert await settled.result(query) == "changed"
    assert settled.metric("questions") == 0
    assert full > settled.metric("bytes")
    monkeypatch.setattr(kept_days, "SECONDS", 0.0)
    assert [await settled.result(query) for _ in range(2)] == ["miss", "expired"]
    monkeypatch.setattr(kept_days, "FEWEST", timedelta(days=DAYS))
    assert await settled.result(other) == "unkept"
    assert settled.metric("evicted_total") == 0
