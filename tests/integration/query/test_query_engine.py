"""The engine on a real Postgres against an independent count in plain Python."""

import asyncio
import itertools
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from postmeter.aggregator.upkeep import day_sums
from postmeter.query.engine import statement
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.kept_days import KeptDays
from postmeter.query.engine.query import MAX_ROWS, Query, Resolution, Scope
from postmeter.query.engine.vocabulary import metrics_of
from postmeter.query.metrics import KeptDaysMetrics
from postmeter.shared.errors import ResultTooLarge
from postmeter.shared.storage import rollups
from postmeter.shared.storage.rollups import ACTIVITY, CONVERSIONS, CREATED, LINKS, SENT, Rollup
from tests.integration.counted_facts import OTHER_LINKS, OWN, Counted, fill
from tests.integration.running_query import DIMENSIONS, Fact, Workspaces, ensure_months, query_settings, workspaces

QUARTER = timedelta(minutes=15)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut")
NEAR = [
    datetime(2025, 3, 29, 22, tzinfo=UTC),
    datetime(2025, 4, 5, 15, tzinfo=UTC),
    datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2025, 11, 2, 5, tzinfo=UTC),
]
# What each metric means, written down a second time (semantics.md).
MEANING = {name: (name,) for name in rollups.COUNTERS} | {
    "bounced": ("hard_bounced", "soft_bounced"),
    "opens": ("human_opens", "proxy_opens"),
    "clicks": ("human_clicks",),
}


ROLLUPS = (ACTIVITY, CREATED, SENT, LINKS, CONVERSIONS)
names = st.sampled_from(["", "a", "b"])
links = st.sampled_from([OTHER_LINKS, "https://a.example/", "https://b.example/?x=1"])
LABELS = {
    **{name: ["", "a", "b"] for name in DIMENSIONS},
    "domain": ["x.example", "y.example", "z.example"],
    "tag": ["", "a", "x"],
    "link": [OTHER_LINKS, "https://a.example/", ""],
    "currency": ["EUR", "USD", "GBP"],
}


def moments(rollup: Rollup) -> st.SearchStrategy[datetime]:
    """Instants on the rollup's finest buckets, near changes of the clocks."""
    finest = rollup.tiers[0].seconds
    return st.builds(
        lambda near, n: near + timedelta(seconds=n // finest * finest),
        st.sampled_from(NEAR),
        st.one_of(st.integers(-270_000, 270_000), st.sampled_from([-86400, -900, -1, 0, 1, 899, 900, 3600, 86400])),
    )


def around(start: datetime, end: datetime, finest: int) -> st.SearchStrategy[datetime]:
    """Instants on a rollup's finest buckets: inside a range, at its edges, and outside."""
    length = int((end - start).total_seconds())
    offsets = st.one_of(
        st.integers(0, length),
        st.integers(-90_000, length + 90_000),
        st.sampled_from([-finest, 0, length - finest, length]),
    )
    return offsets.map(lambda n: start + timedelta(seconds=n // finest * finest))


def facts(query: Query) -> st.SearchStrategy[list[Counted]]:
    fact = st.builds(
        Counted,
        at=around(query.start, query.end, query.rollup.tiers[0].seconds),
        campaign=names,
        domain=st.sampled_from(["x.example", "x.example", "y.example"]),
        provider=names,
        template=names,
        tags=st.sets(st.sampled_from(["a", "x", "{y,\\"]), max_size=3).map(frozenset),
        link=links,
        currency=st.sampled_from(["EUR", "USD"]),
        counters=st.dictionaries(
            st.sampled_from(query.rollup.counters), st.integers(1, 10**12), min_size=1, max_size=4
        ),
    )
    return st.lists(fact, max_size=12)


@st.composite
def asked(draw: st.DrawFn) -> tuple[Query, list[Counted]]:
    """Any query of a workspace that is not known yet, and what happened there."""
    rollup = draw(st.sampled_from(ROLLUPS))
    finest = rollup.tiers[0].seconds
    start = draw(moments(rollup))
    dimensions = (*DIMENSIONS, "tag", *OWN.get(rollup, []))
    # What is not a series' own column more often than the others.
    wished = st.one_of(st.sampled_from(dimensions), st.sampled_from(dimensions[4:]))
    query = Query(
        scope=Scope(0, draw(st.sampled_from([None, None, None, ("x.example",), ("x.example", "z.example"), ()]))),
        start=start,
        end=start + timedelta(seconds=draw(st.integers(0, 540_000)) // finest * finest),
        zone=ZoneInfo(draw(st.sampled_from(ZONES))),
        resolution=draw(st.sampled_from(Resolution)),
        metrics=tuple(draw(st.lists(st.sampled_from(sorted(metrics_of(rollup))), min_size=1, max_size=3, unique=True))),
        dimensions=tuple(draw(st.lists(wished, max_size=2, unique=True))),
        filters={
            name: tuple(draw(st.lists(st.sampled_from(LABELS[name]), min_size=1, max_size=2)))
            for name in draw(st.lists(wished, max_size=2, unique=True))
        },
        rollup=rollup,
        # Long after it, and when some of it has not happened yet.
        now=start + draw(st.sampled_from([timedelta(days=500), timedelta(days=7), timedelta(days=1), timedelta()])),
    )
    return query, draw(facts(query))


def meaning(rollup: Rollup) -> dict[str, tuple[str, ...]]:
    if rollup is ACTIVITY:
        return MEANING
    if rollup is LINKS:
        return {"clicks": ("human_clicks",), "machine_clicks": ("machine_clicks",)}
    return {name: (name,) for name in rollup.counters}


Cell = tuple[object, tuple[str, ...]]


def quarter(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // 900 * 900, UTC)


def bucket_of(at: datetime, zone: tzinfo, resolution: Resolution) -> object:
    local = at.astimezone(zone)
    match resolution:
        case Resolution.TOTAL:
            return None
        case Resolution.QUARTER_HOUR:
            # Local times that the clocks repeat equal no time of another zone (PEP 495).
            return quarter(at)
        case Resolution.HOUR:
            return local.strftime("%Y-%m-%dT%H%z")
        case Resolution.DAY:
            return local.date()
        case Resolution.WEEK:
            return local.date() - timedelta(days=local.weekday())
        case Resolution.MONTH:
            return local.strftime("%Y-%m")


def groups_of(fact: Counted, query: Query) -> list[tuple[str, ...]]:
    """The groups it counts in: each of its tags is one, of those that are asked for."""
    values = [
        [v for v in fact.values(name) if name not in query.filters or v in query.filters[name]]
        for name in query.dimensions
    ]
    return list(itertools.product(*values))


def counted(rows: list[Counted], query: Query) -> list[tuple[Cell, tuple[int, ...]]]:
    """The answer, counted one fact at a time."""
    cells: dict[Cell, Counter[str]] = {}
    for fact in rows:
        wanted = all(set(fact.values(name)) & set(values) for name, values in query.filters.items())
        visible = query.scope.domains is None or fact.domain in query.scope.domains
        if wanted and visible and query.start <= fact.at < query.end:
            for keys in groups_of(fact, query):
                place = (bucket_of(fact.at, query.zone, query.resolution), keys)
                cells.setdefault(place, Counter()).update(fact.counters)
    groups = sorted({keys for _, keys in cells}) if query.dimensions else [()]
    buckets: list[object] = []
    at = quarter(query.start)
    while query.start < query.end and at < query.end:
        found = bucket_of(at, query.zone, query.resolution)
        if not buckets or buckets[-1] != found:
            buckets.append(found)
        at += QUARTER
    nothing: Counter[str] = Counter()
    means = meaning(query.rollup)
    return [
        (
            (bucket, keys),
            tuple(sum(cells.get((bucket, keys), nothing)[c] for c in means[m]) for m in query.metrics),
        )
        for bucket in buckets
        for keys in groups
    ]


async def sum_up(here: Workspaces, odd: int) -> None:
    """Sum up no days (0), every other day (1) or all (2) of those that there are: the rest is counted by series."""
    async with here.pool.acquire() as connection:
        chosen = ["false", "extract(day FROM day)::int % 2 = 1", "true"][odd]
        if await connection.execute(f"UPDATE activity_day SET due = now() WHERE state = 0 AND {chosen}") != "UPDATE 0":
            while await day_sums.once(connection, fewest=0):
                pass


def test_any_query_equals_the_count(postgres_dsn: str) -> None:
    async def check(here: Workspaces, drawn: Query, rows: list[Counted], others: list[Counted], odd: int) -> None:
        query = replace(drawn, scope=Scope(await here.workspace(), drawn.scope.domains))
        async with here.pool.acquire() as connection, connection.transaction():
            await fill(connection, query.scope.workspace, query.rollup, rows)
            await fill(connection, await here.workspace(), query.rollup, others)
        await sum_up(here, odd)
        found = await Engine(here.pool).rows(query)
        keeps = Engine(here.pool, KeptDays(here.pool, 1 << 20, KeptDaysMetrics(CollectorRegistry())))
        for _ in range(3):  # whole, then in two parts, then one of them kept
            assert await keeps.rows(query) == found
        placed = [((bucket_of(r.start, query.zone, query.resolution), r.keys), r.values) for r in found]
        expected = counted(rows, query)
        assert len(placed) == len(expected)
        # One cell at a time: a difference of two long lists takes minutes to print.
        for got, wanted in zip(placed, expected, strict=True):
            assert got == wanted
        instants = [r.start.timestamp() for r in found]
        assert instants == sorted(instants)

    asyncio.run(ensure_months(postgres_dsn, date(2025, 3, 1), date(2025, 11, 1)))
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        here = runner.run(stack.enter_async_context(workspaces(postgres_dsn)))

        @given(asked(), st.data())
        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        def examples(drawn: tuple[Query, list[Counted]], data: st.DataObject) -> None:
            query, rows = drawn
            odd = data.draw(st.integers(0, 2)) if query.rollup in (ACTIVITY, LINKS) else 0
            runner.run(check(here, query, rows, data.draw(facts(query)), odd))

        examples()
        runner.run(stack.aclose())


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": ("sent; DROP TABLE series",)},
        {"metrics": ()},
        {"dimensions": ("tags",)},
        {"filters": {"1=1 OR domain": ("x",)}},
        {"start": datetime(2025, 1, 1, 0, 1, tzinfo=UTC)},
        {"start": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
)
def test_only_known_columns_and_quarter_hours_reach_the_sql(wrong: dict[str, Any]) -> None:
    right = Query(
        scope=Scope(1, None),
        metrics=("sent",),
        start=datetime(2025, 1, 1, tzinfo=UTC),
        end=datetime(2025, 1, 2, tzinfo=UTC),
    )
    with pytest.raises(ValueError, match=r"rollup's buckets|not a query"):
        replace(right, **wrong)


async def test_what_happens_behind_the_end_of_a_range_makes_no_group(postgres_dsn: str) -> None:
    """The last day is read whole, and what is behind the end taken off."""
    await ensure_months(postgres_dsn, date(2025, 3, 1), date(2025, 4, 1))
    day = datetime(2025, 3, 3, tzinfo=UTC)
    rows = [
        Counted(day + timedelta(hours=3), template="before", counters={"sent": 1}),
        Counted(day + timedelta(hours=3), template="both", counters={"sent": 2}),
        Counted(day + timedelta(hours=18), template="both", counters={"sent": 4}),
        Counted(day + timedelta(hours=17), template="behind", counters={"sent": 8}),
    ]
    async with workspaces(postgres_dsn) as here:
        workspace = await here.workspace()
        async with here.pool.acquire() as connection:
            await fill(connection, workspace, ACTIVITY, rows)
        query = Query(
            scope=Scope(workspace, None),
            metrics=("sent",),
            start=day - timedelta(days=2),
            end=day + timedelta(hours=17),
            dimensions=("template",),
            now=day + timedelta(hours=17),
        )
        assert "/* rest */" in statement.write(query, [query.start])[0]
        found = await Engine(here.pool).rows(query)
    assert [(row.keys, row.values) for row in found] == [(("before",), (1,)), (("both",), (2,))]


async def test_an_answer_that_would_be_too_large_is_refused(postgres_dsn: str) -> None:
    await ensure_months(postgres_dsn, date(2025, 3, 1), date(2025, 4, 1))
    async with workspaces(postgres_dsn) as here:
        workspace = await here.workspace()
        at = datetime(2025, 3, 1, tzinfo=UTC)
        groups = MAX_ROWS // (24 * 30) + 1
        await here.add(workspace, *(Fact(at, campaign=f"c{n}", counters={"sent": 1}) for n in range(groups)))
        query = Query(
            scope=Scope(workspace, None),
            metrics=("sent",),
            dimensions=("campaign",),
            start=at,
            end=at + timedelta(days=30),
            resolution=Resolution.HOUR,
        )
        with pytest.raises(ResultTooLarge) as refused:
            await Engine(here.pool).rows(query)
        assert refused.value.field == "dimensions"


async def test_the_database_cannot_be_written_through_the_service_s_pool(postgres_dsn: str, redis_url: str) -> None:
    from postmeter.query.service import READ_ONLY
    from postmeter.shared.auth.secret import Secret
    from postmeter.shared.storage import postgres

    settings_ = query_settings(postgres_dsn=Secret(postgres_dsn), redis_url=Secret(redis_url))
    pool = await postgres.connect(settings_, "query", 5.0, options=READ_ONLY)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await Workspaces(pool).workspace()
    await pool.close()
