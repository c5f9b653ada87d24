"""The indexes of rollups turned round (ADR 0068): counting goes on at each step, and plans stay good."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.fold import moments
from postmeter.aggregator.fold.deltas import Cells
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.store import rollups
from postmeter.query.engine import buckets, statement
from postmeter.query.engine.query import Query, Resolution, Scope
from postmeter.shared.errors import MigrationError
from postmeter.shared.storage import migrate, partitions
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import ACTIVITY, ROLLUPS, SUMS, TOTAL, Rollup
from postmeter.shared.stream.events import EventType
from tests.aggregation import AT, SECOND, bench, event, registration
from tests.older_schema import migrate_up_to
from tests.waiting import until

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


GATE = """
    CREATE FUNCTION gate(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('application_name') = 'postmeter-aggregator' THEN
            PERFORM pg_advisory_xact_lock_shared(44);
        END IF;
        RETURN $1;
    END $$;
    DROP INDEX activity_15m_key;
    CREATE INDEX gate ON {month} (gate(workspace));
    CREATE UNIQUE INDEX activity_15m_before ON activity_15m (workspace, bucket, series);
    CREATE UNIQUE INDEX {month}_key ON {month} (workspace, series, bucket);
"""
"""Only the month is turned, as while the migration's indexes are built. A row is entered into indexes in the order in
which they were made: the aggregator has looked for a conflict, and waits at the gate before it enters its row anywhere.
"""
STANDS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory')"


async def test_of_two_that_add_a_row_at_once_in_a_turned_month_none_is_lost(
    postgres_dsn: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them is refused, though it has said what to do on conflict; it counts again."""
    refused: list[Exception] = []
    flush = Flusher.flush

    async def noted(flusher: Flusher, *given: Any, **more: Any) -> Any:
        try:
            return await flush(flusher, *given, **more)
        except Exception as error:
            refused.append(error)
            raise

    monkeypatch.setattr(Flusher, "flush", noted)
    tier = ACTIVITY.tiers[0]
    add = rollups.statement(ACTIVITY, ("sent",), (tier,))
    row = (1, AT - AT % (tier.seconds * SECOND), TOTAL, 1)
    async with bench(postgres_dsn, redis_url) as at:
        await at.db.execute(GATE.format(month=f"{tier.table}_{datetime.fromtimestamp(AT // SECOND, UTC):%Y%m}"))
        await at.db.execute("SELECT pg_advisory_lock(44)")
        other = await aggregating(postgres_dsn)
        async with at.aggregator():
            await at.streams.append(0, registration(1), event(EventType.SENT, 1))

            async def stands() -> bool:
                return bool(await at.value(STANDS))

            await until(stands)
            await other.execute(add, *([one] for one in row), HORIZON.oldest[tier.table])
            await at.db.execute("SELECT pg_advisory_unlock(44)")
            await at.counted()
        await other.close()
        assert [type(one) for one in refused] == [asyncpg.UniqueViolationError]
        found = {
            one.table: [await at.value(f"SELECT sum(sent)::int FROM {one.table} WHERE series {of} 0") for of in "=>"]
            for one in ACTIVITY.tiers
        }
        assert found == {one.table: [2 if one is tier else 1, 1] for one in ACTIVITY.tiers}
        assert await at.value("SELECT count(*) FROM history WHERE type = $1", EventType.SENT) == 1
        assert await at.value("SELECT count(*) FROM dead_letter") == 0


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
