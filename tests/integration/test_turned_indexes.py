"""The indexes of rollups turned round (ADR 0068): counting goes on at each step, and plans stay good."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest

from postmeter.aggregator.fold import moments
from postmeter.aggregator.fold.deltas import Cells
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.store import rollups
from postmeter.query.engine import buckets, statement
from postmeter.query.engine.query import Query, Resolution, Scope
from postmeter.shared.errors import MigrationError
from postmeter.shared.storage import migrate, partitions
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import ACTIVITY, ROLLUPS, SUMS, Rollup
from tests.aggregation import AT, SECOND
from tests.older_schema import migrate_up_to

DAY = 86_400 * SECOND
MIDNIGHT = AT - AT % DAY
SERIES = 100
BY_TIME = {"cohort_created_1s"}
"""Tiers whose rows are found as before."""
HORIZON = Horizon({tier.table: 3 for rollup in ROLLUPS for tier in rollup.tiers})
READ = """
    SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname ~ '^activity_1[5hd]')::bigint
        + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname ~ '^activity_1[5hd]')::bigint
"""


async def aggregating(dsn: str) -> Connection:
    """A connection as the aggregator's."""
    connection = await asyncpg.connect(dsn, server_settings=moments.PLANS)
    await moments.prepare(connection)
    return connection


def some_cells(rollup: Rollup, noise: random.Random) -> Cells:
    """What a flush may add: a few series in a few buckets of two days, old and new ones."""
    own: dict[str | None, list[object]] = {
        None: [],
        "link": [1, 2],
        "reason": ["full", "gone"],
        "currency": ["EUR", "USD"],
    }
    keys = own[rollup.key[0] if rollup.key else None]
    found: dict[tuple[object, ...], list[Decimal | int]] = {}
    for _ in range(60):
        width = rollup.tiers[0].seconds * SECOND
        bucket = MIDNIGHT - noise.randrange(2 * DAY) // width * width
        counts = [noise.randrange(3) for _ in rollup.counters]
        key = (1, bucket, noise.randrange(1, 9), *([noise.choice(keys)] if keys else []))
        found[key] = [
            Decimal(n) if name in rollup.money else n for name, n in zip(rollup.counters, counts, strict=True)
        ]
    return found


async def rows(connection: Connection) -> dict[str, list[str]]:
    tables = [tier.table for rollup in ROLLUPS for tier in rollup.tiers]
    return {table: sorted(map(str, await connection.fetch(f"SELECT * FROM {table}"))) for table in tables}


async def test_rows_are_added_to_before_between_and_after(postgres_dsn: str, empty_postgres_dsn: str) -> None:
    """By a connection that keeps its plans. Between: all indexes stand, the new ones beside the old."""
    await migrate_up_to(empty_postgres_dsn, "0044")
    fresh, turned, other = (
        await aggregating(postgres_dsn),
        await aggregating(empty_postgres_dsn),
        await asyncpg.connect(empty_postgres_dsn),
    )
    noise = random.Random(68)

    async def count() -> None:
        for rollup in ROLLUPS:
            found = some_cells(rollup, noise)
            for one in (fresh, turned):
                await rollups.add(one, rollup, found, HORIZON)

    await count()
    await other.execute("CREATE TABLE activity_by_1d_key ()")  # with which the migration itself does nothing
    with pytest.raises(MigrationError, match='"activity_by_1d_key" already exists'):
        await migrate.migrate(empty_postgres_dsn)
    filled = await other.fetchval("SELECT tableoid::regclass::text FROM activity_15m LIMIT 1")
    assert (
        await other.fetchval(
            "SELECT count(*) FROM pg_index WHERE indrelid = $1::text::regclass AND indisunique", filled
        )
        == 2
    )
    await count()
    await other.execute("DROP TABLE activity_by_1d_key")
    assert "0044_turned_indexes.sql" in await migrate.migrate(empty_postgres_dsn)
    await count()
    found = await rows(turned)
    assert found == await rows(fresh)
    assert min(map(len, found.values())) > 10
    for one in (fresh, turned, other):
        await one.close()


async def test_every_month_has_them_one_that_is_made_later_too(postgres_dsn: str) -> None:
    wanted: dict[str, set[tuple[bool, str]]] = {}
    for rollup in ROLLUPS:
        key = ", ".join(["workspace", "series", "bucket", *([rollup.key[0]] if rollup.key else [])])
        for tier in rollup.tiers:
            wanted[tier.table] = {(True, f"({key})"), (False, "(workspace, bucket) WHERE (series > 0)")}
    for tier in SUMS.values():
        wanted[tier.table] = {
            (True, "(workspace, dimension, value, bucket)"),
            (False, "(workspace, dimension, bucket)"),
        }
    connection = await asyncpg.connect(postgres_dsn)
    for table in partitions.TABLES:
        if table.table in wanted.keys() - BY_TIME:
            await partitions.ensure(connection, table, date(2040, 1, 1), date(2040, 1, 1))
            found = await connection.fetch(
                "SELECT x.indrelid, x.indisunique, substring(pg_get_indexdef(x.indexrelid) FROM 'btree (.*)') AS said"
                " FROM pg_inherits i JOIN pg_index x ON x.indrelid = i.inhrelid"
                " WHERE i.inhparent = $1::text::regclass AND x.indisvalid",
                table.table,
            )
            months: dict[int, set[tuple[bool, str]]] = {}
            for month, is_unique, said in found:
                months.setdefault(month, set()).add((is_unique, said))
            assert len(months) > table.back
            assert all(indexes == wanted[table.table] for indexes in months.values()), table.table
    await connection.close()


async def test_a_sum_of_all_series_is_not_looked_for_among_them(postgres_dsn: str) -> None:
    """Also by a connection that planned in an empty month; nor are rows that may have become empty."""
    start = datetime.fromtimestamp(MIDNIGHT // SECOND, UTC)
    query = Query(
        scope=Scope(1, None),
        metrics=("sent",),
        start=start,
        end=start + timedelta(days=1),
        resolution=Resolution.HOUR,
    )
    sql, values = statement.write(query, buckets.starts(start, query.end, UTC, Resolution.HOUR))
    asking, counting, other = (
        await asyncpg.connect(postgres_dsn),
        await aggregating(postgres_dsn),
        await asyncpg.connect(postgres_dsn),
    )
    touched = [(1, MIDNIGHT + n * 3600 * SECOND, 1 + n) for n in range(24)]

    async def read_by(connection: Connection) -> int:
        before = await other.fetchval(READ)
        if connection is asking:
            assert sum(row["sent"] for row in await asking.fetch(sql, *values)) in (0, 24 * 4 * SERIES)
        else:
            await rollups.remove_empty(counting, ACTIVITY, touched, HORIZON)
        await connection.fetchval("SELECT pg_stat_force_next_flush()")
        await connection.fetchval("SELECT 1")
        return int(await other.fetchval(READ)) - int(before)

    for connection in (asking, counting):
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await read_by(connection)
    counts = [int(name == "sent") for name in ACTIVITY.counters]
    quarters = [MIDNIGHT + n * 900 * SECOND for n in range(96)]
    await rollups.add(
        counting, ACTIVITY, {(1, at, n): counts for at in quarters for n in range(1, SERIES + 1)}, HORIZON
    )
    assert await read_by(asking) < 2 * 24
    assert await read_by(counting) < 10 * 24
    for connection in (asking, counting, other):
        await connection.close()
