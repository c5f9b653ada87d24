"""The engine on a real Postgres against an independent count in plain Python."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import MAX_ROWS, Query, Resolution, Scope
from postmeter.query.engine.vocabulary import METRICS
from postmeter.shared import rollups
from postmeter.shared.errors import RequestError
from tests.integration.query_world import DIMENSIONS, Fact, World, ensure_months, query_settings, world

QUARTER = timedelta(minutes=15)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut")
NEAR = [
    datetime(2025, 3, 29, 22, tzinfo=UTC),
    datetime(2025, 4, 5, 15, tzinfo=UTC),
    datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2025, 11, 2, 5, tzinfo=UTC),
]
# What each metric means, written down a second time (SEMANTICS.md).
MEANING = {name: (name,) for name in rollups.COUNTERS} | {
    "bounced": ("hard_bounced", "soft_bounced"),
    "opens": ("human_opens", "proxy_opens"),
    "clicks": ("human_clicks",),
}

moments = st.builds(lambda near, quarters: near + quarters * QUARTER, st.sampled_from(NEAR), st.integers(-300, 300))
names = st.sampled_from(["", "a", "b"])
facts = st.builds(
    Fact,
    at=moments,
    campaign=names,
    domain=st.sampled_from(["x.example", "y.example"]),
    provider=names,
    template=names,
    counters=st.dictionaries(st.sampled_from(rollups.COUNTERS), st.integers(1, 10**12), min_size=1, max_size=4),
)
filters = st.dictionaries(
    st.sampled_from(DIMENSIONS),
    st.lists(st.sampled_from(["", "a", "x.example"]), min_size=1, max_size=2).map(tuple),
    max_size=1,
)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Any query of a workspace that is not known yet."""
    start = draw(moments)
    return Query(
        scope=Scope(0, draw(st.sampled_from([None, None, ("x.example",), ()]))),
        start=start,
        end=start + draw(st.integers(0, 600)) * QUARTER,
        zone=ZoneInfo(draw(st.sampled_from(ZONES))),
        resolution=draw(st.sampled_from(Resolution)),
        metrics=tuple(draw(st.lists(st.sampled_from(sorted(METRICS)), min_size=1, max_size=3, unique=True))),
        dimensions=tuple(draw(st.lists(st.sampled_from(DIMENSIONS), max_size=2, unique=True))),
        filters=draw(filters),
    )


Cell = tuple[object, tuple[str, ...]]


def bucket_of(at: datetime, zone: tzinfo, resolution: Resolution) -> object:
    local = at.astimezone(zone)
    match resolution:
        case Resolution.TOTAL:
            return None
        case Resolution.QUARTER_HOUR:
            # Local times that the clocks repeat equal no time of another zone (PEP 495).
            return at.astimezone(UTC)
        case Resolution.HOUR:
            return local.strftime("%Y-%m-%dT%H%z")
        case Resolution.DAY:
            return local.date()
        case Resolution.WEEK:
            return local.date() - timedelta(days=local.weekday())
        case Resolution.MONTH:
            return local.strftime("%Y-%m")


def counted(rows: list[Fact], query: Query) -> list[tuple[Cell, tuple[int, ...]]]:
    """The answer, counted one fact at a time."""
    cells: dict[Cell, Counter[str]] = {}
    for fact in rows:
        wanted = all(getattr(fact, name) in values for name, values in query.filters.items())
        visible = query.scope.domains is None or fact.domain in query.scope.domains
        if wanted and visible and query.start <= fact.at < query.end:
            keys = tuple(getattr(fact, name) for name in query.dimensions)
            place = (bucket_of(fact.at, query.zone, query.resolution), keys)
            cells.setdefault(place, Counter()).update(fact.counters)
    groups = sorted({keys for _, keys in cells}) if query.dimensions else [()]
    buckets: list[object] = []
    at = query.start
    while at < query.end:
        found = bucket_of(at, query.zone, query.resolution)
        if not buckets or buckets[-1] != found:
            buckets.append(found)
        at += QUARTER
    nothing: Counter[str] = Counter()
    return [
        (
            (bucket, keys),
            tuple(sum(cells.get((bucket, keys), nothing)[c] for c in MEANING[m]) for m in query.metrics),
        )
        for bucket in buckets
        for keys in groups
    ]


def test_any_query_equals_the_count(postgres_dsn: str) -> None:
    async def check(rows: list[Fact], drawn: Query, others: list[Fact]) -> None:
        async with world(postgres_dsn) as here:
            query = replace(drawn, scope=Scope(await here.workspace(), drawn.scope.domains))
            await here.add(query.scope.workspace, *rows)
            await here.add(await here.workspace(), *others)
            found = await Engine(here.pool).rows(query)
            placed = [((bucket_of(r.start, query.zone, query.resolution), r.keys), r.values) for r in found]
            expected = counted(rows, query)
            assert len(placed) == len(expected)
            # One cell at a time: a difference of two long lists takes minutes to print.
            for got, wanted in zip(placed, expected, strict=True):
                assert got == wanted
            instants = [r.start.timestamp() for r in found]
            assert instants == sorted(instants)

    @given(st.lists(facts, max_size=12), queries(), st.lists(facts, max_size=3))
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    def examples(rows: list[Fact], drawn: Query, others: list[Fact]) -> None:
        asyncio.run(check(rows, drawn, others))

    asyncio.run(ensure_months(postgres_dsn, date(2025, 3, 1), date(2025, 11, 1)))
    examples()


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


async def test_an_answer_that_would_be_too_large_is_refused(postgres_dsn: str) -> None:
    await ensure_months(postgres_dsn, date(2025, 3, 1), date(2025, 4, 1))
    async with world(postgres_dsn) as here:
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
        with pytest.raises(RequestError) as refused:
            await Engine(here.pool).rows(query)
        assert (refused.value.status, refused.value.code) == (400, "RESULT_TOO_LARGE")


async def test_the_database_cannot_be_written_through_the_service_s_pool(postgres_dsn: str, redis_url: str) -> None:
    from postmeter.query.service import READ_ONLY
    from postmeter.shared import postgres
    from postmeter.shared.secret import Secret

    settings_ = query_settings(postgres_dsn=Secret(postgres_dsn), redis_url=Secret(redis_url))
    pool = await postgres.connect(settings_, "query", 5.0, options=READ_ONLY)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await World(pool).workspace()
    await pool.close()
