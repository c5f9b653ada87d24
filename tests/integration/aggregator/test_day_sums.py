"""Days that are summed up by one dimension (ADR 0063): which are, and that no change of one is missed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from postmeter.aggregator.fold import moments
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.store import rollups
from postmeter.aggregator.upkeep import day_sums
from postmeter.query.documents.misar import _HOURS as HOURS
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Scope
from postmeter.shared.storage import partitions
from postmeter.shared.storage.partitions import Partitioned
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import ACTIVITY, COUNTERS, SUMMED_BY, DayState
from tests.aggregation import SECOND
from tests.integration.counted_facts import Counted, fill
from tests.integration.running_query import Workspaces, workspaces

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
FACTS = [
    Counted(DAY + timedelta(hours=hour), campaign=campaign, tags=frozenset(tags), counters={"sent": sent})
    for hour, campaign, tags, sent in ((1, "a", ("x", "y"), 1), (1, "b", ("x",), 10), (5, "b", (), 100))
]
ADD = "UPDATE activity_{} SET sent = sent + 1000 WHERE workspace = $1 AND series > 0 AND bucket >= $2 AND bucket < $3"


class Day:
    """A day of a workspace."""

    def __init__(self, here: Workspaces, workspace: int) -> None:
        self.here = here
        self.workspace = workspace

    async def sum_up(self, fewest: int = 1) -> int:
        await self.here.pool.execute("UPDATE activity_day SET due = now() WHERE state < 2")
        async with self.here.pool.acquire() as connection:
            return await day_sums.once(connection, fewest)

    async def state(self, of: datetime = DAY) -> int:
        state: int = await self.here.pool.fetchval(
            "SELECT state FROM activity_day WHERE workspace = $1 AND day = $2", self.workspace, of
        )
        return state

    async def add(self, connection: Connection) -> None:
        """Each series of the day sends 1,000 more."""
        for width in ("15m", "1h", "1d"):
            await connection.execute(ADD.format(width), self.workspace, DAY, DAY + timedelta(days=1))

    async def sent(self, dimension: str) -> dict[str, int]:
        query = Query(
            scope=Scope(self.workspace, None),
            metrics=("sent",),
            start=DAY,
            end=DAY + timedelta(days=1),
            dimensions=(dimension,),
        )
        return {row.keys[0]: row.values[0] for row in await Engine(self.here.pool).rows(query)}

    async def rows(self, table: str) -> int:
        n: int = await self.here.pool.fetchval(f"SELECT count(*) FROM {table} WHERE workspace = $1", self.workspace)
        return n


@pytest.fixture
async def day(postgres_dsn: str) -> AsyncIterator[Day]:
    async with workspaces(postgres_dsn) as here:
        workspace = await here.workspace()
        async with here.pool.acquire() as connection:
            await fill(connection, workspace, ACTIVITY, FACTS)
        yield Day(here, workspace)


async def test_a_day_is_summed_up_once_an_hour_after_its_end(day: Day) -> None:
    due = "SELECT due - day FROM activity_day WHERE day = $1"
    today = DAY + timedelta(days=3)
    async with day.here.pool.acquire() as connection:
        await fill(connection, day.workspace, ACTIVITY, [Counted(today, counters={"sent": 1})])
    assert await day.here.pool.fetchval(due, today) == timedelta(hours=25)
    assert await day.sum_up() == 2
    assert await day.sum_up() == 0
    assert await day.state() == DayState.SUMMED


async def test_sums_are_read_where_there_are_any(day: Day) -> None:
    by_series = {name: await day.sent(name) for name in SUMMED_BY}
    assert by_series["campaign"] == {"a": 1, "b": 110}
    assert by_series["tag"] == {"": 100, "x": 11, "y": 1}
    await day.sum_up()
    assert {name: await day.sent(name) for name in SUMMED_BY} == by_series
    # Only who reads them sees this.
    await day.here.pool.execute("UPDATE activity_by_1d SET sent = 7")
    assert await day.sent("campaign") == {"a": 7, "b": 7}


async def test_the_hours_of_a_campaign_are_the_same_with_sums_and_without(day: Day) -> None:
    opens = [
        Counted(DAY + timedelta(days=n, hours=hour), campaign=campaign, template=template, counters={name: 1})
        for n, hour, name in (
            (0, 2, "human_opens"),
            (0, 2, "proxy_opens"),
            (1, 9, "human_clicks"),
            (2, 4, "human_opens"),
        )
        for campaign in ("b", "other")
        for template in ("one", "two")
    ]
    workspace = await day.here.workspace()
    async with day.here.pool.acquire() as connection:
        await fill(connection, workspace, ACTIVITY, opens)

    async def hours() -> list[tuple[object, ...]]:
        asked = (workspace, "b", DAY, DAY + timedelta(days=3), 100)
        return [tuple(row) for row in await day.here.pool.fetch(HOURS, *asked)]

    by_series = await hours()
    assert [row[1:] for row in by_series] == [(4, 0), (0, 2), (2, 0)]
    await day.sum_up()
    await day.here.pool.execute("UPDATE activity_1d SET sent = 1 WHERE bucket = $1", DAY + timedelta(days=1))
    states = "SELECT array_agg(state ORDER BY day) FROM activity_day WHERE workspace = $1"
    assert await day.here.pool.fetchval(states, workspace) == [2, 0, 2]
    assert await hours() == by_series
    await day.here.pool.execute("UPDATE activity_by_1h SET human_opens = 50 WHERE human_opens > 0")
    assert [row[1:] for row in await hours()] == [(52, 0), (0, 2), (50, 0)]


async def test_who_changes_a_day_makes_its_sums_unused_with_the_change(day: Day) -> None:
    await day.sum_up()
    async with day.here.pool.acquire() as connection, connection.transaction():
        await day.add(connection)
        assert await day.sent("campaign") == {"a": 1, "b": 110}
    assert await day.state() == DayState.CHANGED
    assert await day.sent("campaign") == {"a": 1001, "b": 2110}
    await day.sum_up()
    assert await day.state() == DayState.SUMMED
    assert await day.sent("campaign") == {"a": 1001, "b": 2110}


async def test_what_is_taken_out_is_a_change(day: Day) -> None:
    await day.sum_up()
    await day.here.pool.execute("DELETE FROM activity_1d WHERE workspace = $1", day.workspace)
    assert await day.state() == DayState.CHANGED
    assert await day.sent("campaign") == {}


async def test_a_day_of_few_series_has_no_sums(day: Day) -> None:
    await day.sum_up(fewest=4)
    assert (await day.state(), await day.rows("activity_by_1d"), await day.rows("activity_by_1h")) == (3, 0, 0)
    assert await day.sent("campaign") == {"a": 1, "b": 110}
    async with day.here.pool.acquire() as connection:
        await day.add(connection)
    await day.sum_up(fewest=3)
    assert await day.state() == DayState.SUMMED


async def test_who_has_not_seen_the_mark_is_waited_for(day: Day) -> None:
    """A transaction that changed the day before it was marked, and is over later: its change is in the sums."""
    async with day.here.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await day.add(connection)
        summing = asyncio.create_task(day.sum_up())
        looks = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '/* is_behind */%'"
        async with asyncio.timeout(60):
            while not await day.here.pool.fetchval(looks):
                assert await day.state() != DayState.SUMMED
                await day.here.pool.execute("SELECT pg_sleep(0.01)")
        assert await day.state() == DayState.MARKED
        await transaction.commit()
    assert await summing == 1
    assert await day.state() == DayState.SUMMED
    assert await day.sent("campaign") == {"a": 1001, "b": 2110}


async def test_who_has_seen_the_mark_takes_it_away(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change behind the mark: whether the sums have it or not, they are not used."""

    async def changes(connection: object) -> bool:
        async with day.here.pool.acquire() as other:
            await day.add(other)
        return True

    monkeypatch.setattr(day_sums, "_all_have_seen", changes)
    await day.sum_up()
    assert await day.state() == DayState.CHANGED
    assert await day.rows("activity_by_1d") == 0
    assert await day.sent("campaign") == {"a": 1001, "b": 2110}


async def test_a_change_that_is_not_over_is_waited_for_when_the_sums_are_to_be_used(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with day.here.pool.acquire() as other:
        transaction = other.transaction()

        async def changes(connection: object) -> bool:
            await transaction.start()
            await day.add(other)
            return True

        monkeypatch.setattr(day_sums, "_all_have_seen", changes)
        summing = asyncio.create_task(day.sum_up())
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%settle%'"
        async with asyncio.timeout(60):
            while not await day.here.pool.fetchval(waiting):
                await day.here.pool.execute("SELECT pg_sleep(0.01)")
        await transaction.commit()
        await summing
    assert await day.state() == DayState.CHANGED
    assert await day.sent("campaign") == {"a": 1001, "b": 2110}


async def test_a_day_older_than_the_partitions_of_the_sums_gets_one(day: Day) -> None:
    """Of a database that has counted for longer than partitions are made for the past."""
    old = datetime(2012, 5, 7, tzinfo=UTC)
    month = old.date().replace(day=1)
    async with day.here.pool.acquire() as connection:
        for tier in ACTIVITY.tiers:
            await partitions.ensure(connection, Partitioned(tier.table, "month", "time"), month, month)
        await fill(connection, day.workspace, ACTIVITY, [replace(fact, at=fact.at - DAY + old) for fact in FACTS])
    assert await day.sum_up() == 2
    assert await day.state() == DayState.SUMMED
    assert await day.state(old) == DayState.SUMMED


async def test_a_day_that_cannot_be_summed_up_holds_no_other_up(day: Day) -> None:
    before = DAY - timedelta(days=1)
    async with day.here.pool.acquire() as connection:
        await fill(connection, day.workspace, ACTIVITY, [replace(fact, at=before) for fact in FACTS])
        await connection.execute("UPDATE activity_1h SET sent = 2::numeric ^ 62 WHERE series > 0 AND bucket < $1", DAY)
        await connection.execute("UPDATE activity_day SET due = day")
        with pytest.raises(asyncpg.NumericValueOutOfRangeError):
            await day_sums.once(connection, fewest=1)
    assert await day.state(before) == DayState.MARKED
    assert await day.state() == DayState.SUMMED


async def test_what_moves_from_one_hour_to_another_changes_the_day(day: Day, postgres_dsn: str) -> None:
    """Also where the rows of the day itself stay what they are."""
    await day.sum_up()
    series = await day.here.pool.fetchval("SELECT id FROM series WHERE campaign = 'a'")
    at, nothing = int(DAY.timestamp()) * SECOND, [0] * len(COUNTERS[1:])
    places = [((day.workspace, at + hour * 3600 * SECOND, series), [n, *nothing]) for hour, n in ((1, -1), (3, 1))]
    counting = await asyncpg.connect(postgres_dsn)
    await moments.prepare(counting)
    await rollups.add(counting, ACTIVITY, dict(places), Horizon({tier.table: 120 for tier in ACTIVITY.tiers}))
    await counting.close()
    assert await day.state() == DayState.CHANGED


async def test_a_change_looks_at_its_own_days_only(day: Day) -> None:
    """Of however many rows the first change of a session was, by which its plan was made."""
    days = "INSERT INTO activity_day SELECT w, $1::timestamptz - d * interval '1 day', 2, $1"
    days += " FROM generate_series(100, 149) w, generate_series(1, 400) d"
    change = "INSERT INTO activity_1d AS known (workspace, series, bucket, sent) SELECT w, s, $1, 1"
    change += " FROM generate_series(100, 149) w, generate_series(1, $2) s"
    change += " ON CONFLICT (workspace, bucket, series) DO UPDATE SET sent = known.sent + 1"
    read = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'activity_day'"
    async with day.here.pool.acquire() as connection:
        await connection.execute(days, DAY)
        await connection.execute("ANALYZE activity_day")
        async with connection.transaction():
            for series in (60, 60, 1):
                await connection.execute(change, DAY, series)
            assert await connection.fetchval(read) == 0
