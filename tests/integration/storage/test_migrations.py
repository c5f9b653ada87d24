"""The migrations: from nothing, twice, and by several at once."""

import asyncio
import random
import re
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from postmeter.aggregator.store.dimensions import Sender
from postmeter.shared.errors import MigrationError
from postmeter.shared.storage import index_builds, migrate, partitions, rights, uuid7
from postmeter.shared.storage.rollups import COUNTERS, DIMENSIONS, ROLLUPS, SUM_TIERS, SUMS, TIERS
from postmeter.tracking.requests import fields
from tests import schema
from tests.older_schema import migrate_up_to
from tests.product import PATIENCE
from tests.roles import make_roles, of_service


async def columns(dsn: str, table: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position", table
    )
    await connection.close()
    return [row["column_name"] for row in rows]


PARTS = """
SELECT c.relname AS name, i.inhparent::regclass::text AS parent, pg_get_expr(c.relpartbound, c.oid) AS bounds,
    c.reloptions,
    ARRAY(SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull)
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attname) AS columns,
    ARRAY(SELECT concat_ws(' ', (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = indexrelid), indisvalid,
            indisunique, regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', ''))
        FROM pg_index WHERE indrelid = c.oid ORDER BY 1) AS indexes,
    ARRAY(SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = c.oid ORDER BY 1) AS constraints,
    ARRAY(SELECT tgname FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal ORDER BY 1) AS triggers
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
"""


async def test_an_update_makes_what_a_new_database_has(empty_postgres_dsn: str, postgres_dsn: str) -> None:
    """There partitions are made after all migrations; here each migration changes those of the ones before."""
    names = [name for name, _ in migrate.files()]
    await migrate_up_to(empty_postgres_dsn, names[1])
    assert await migrate.migrate(empty_postgres_dsn) == names[1:]
    assert await migrate.migrate(empty_postgres_dsn) == []
    found = []
    for dsn in (postgres_dsn, empty_postgres_dsn):
        connection = await asyncpg.connect(dsn)
        found.append({row["name"]: dict(row) for row in await connection.fetch(PARTS)})
        await connection.close()
    new, updated = found
    assert sum(row["parent"] is not None for row in new.values()) > 100
    assert updated.keys() == new.keys()
    for name, row in new.items():
        assert updated[name] == row


async def test_a_schema_that_lacks_one_is_not_current(
    empty_postgres_dsn: str, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dsn, missing in ((empty_postgres_dsn, "0001_schema.sql"), (postgres_dsn, None), (postgres_dsn, "9999_new.sql")):
        if missing:
            monkeypatch.setattr(migrate, "files", lambda name=missing: [("0001_schema.sql", ""), (name, "")])
        connection = await asyncpg.connect(dsn)
        try:
            with pytest.raises(MigrationError, match="run `postmeter migrate`") if missing else nullcontext():
                await migrate.require_current(connection)
        finally:
            await connection.close()


async def test_a_role_without_rights_is_told_how_it_gets_them(postgres_dsn: str) -> None:
    owner = await asyncpg.connect(postgres_dsn)
    await owner.execute(f"REVOKE ALL ON migration FROM {rights.role('query')}")
    await owner.close()
    connection = await asyncpg.connect(of_service(postgres_dsn, "query"))
    try:
        with pytest.raises(MigrationError, match="permission denied for table migration: run `postmeter migrate` with"):
            await migrate.require_current(connection)
        await migrate.migrate(postgres_dsn)
        await migrate.require_current(connection)
    finally:
        await connection.close()


async def test_what_is_to_be_applied_is_told_and_a_changed_migration_refused(
    empty_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = migrate.files()
    found = [*released, ("9998_later.sql", "CREATE TABLE later (a int)")]
    assert await migrate.pending(empty_postgres_dsn) == [name for name, _ in released]
    await migrate.migrate(empty_postgres_dsn)
    assert await migrate.pending(empty_postgres_dsn) == []
    connection = await asyncpg.connect(empty_postgres_dsn)
    await connection.execute("ALTER TABLE migration DROP COLUMN digest")  # as a version before this one left it
    await connection.close()
    monkeypatch.setattr(migrate, "files", lambda: found)
    assert await migrate.pending(empty_postgres_dsn) == [found[-1][0]]
    assert await migrate.migrate(empty_postgres_dsn) == [found[-1][0]]
    edited = [(found[0][0], found[0][1] + "-- one word more"), *found[1:], ("9999_new.sql", "CREATE TABLE new (a int)")]
    monkeypatch.setattr(migrate, "files", lambda: edited)
    for act in (migrate.pending, migrate.migrate):
        with pytest.raises(MigrationError, match=f"{found[0][0]}: changed after it was applied"):
            await act(empty_postgres_dsn)
    assert await columns(empty_postgres_dsn, "new") == []


async def test_what_older_services_cannot_work_with_waits_for_the_second_step(
    empty_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_roles(empty_postgres_dsn)
    every = [*migrate.files(), ("9998_a.sql", "CREATE TABLE a (x int)")]
    monkeypatch.setattr(migrate, "files", lambda: every)
    await migrate.migrate(empty_postgres_dsn, after=False)
    new, rest = ("9998_b.sql", "CREATE TABLE b (x int)"), ("9999_no_a.after.sql", "DROP TABLE a")
    monkeypatch.setattr(migrate, "files", lambda: [*every, new, rest])
    connection = await asyncpg.connect(empty_postgres_dsn)
    await connection.execute("GRANT DELETE ON workspace TO postmeter_query")
    delete = "SELECT has_table_privilege('postmeter_query', 'workspace', 'DELETE')"
    for missing in ([new[0]], []):
        assert await migrate.pending(empty_postgres_dsn, after=False) == missing
        assert await migrate.migrate(empty_postgres_dsn, after=False) == missing
        assert await columns(empty_postgres_dsn, "a")
        assert await connection.fetchval(delete)
    await migrate.require_current(connection)  # services start before the second step
    assert await migrate.pending(empty_postgres_dsn) == [rest[0]]

    monkeypatch.setattr(migrate, "files", lambda: [*every, new, rest, ("9999_now.sql", "CREATE TABLE c (x int)")])
    for act in (migrate.pending, migrate.migrate):
        with pytest.raises(MigrationError, match=rf"9999_now\.sql needs {rest[0]}.*run `postmeter migrate --after`"):
            await act(empty_postgres_dsn, after=False)
    assert await migrate.migrate(empty_postgres_dsn) == [rest[0], "9999_now.sql"]
    assert not await columns(empty_postgres_dsn, "a")
    assert not await connection.fetchval(delete)
    await connection.close()


async def test_an_empty_database_gets_both_steps_at_once(
    empty_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [*migrate.files(), ("9998_a.after.sql", "CREATE TABLE a (x int)"), ("9999_b.sql", "DROP TABLE a")]
    monkeypatch.setattr(migrate, "files", lambda: every)
    assert await migrate.pending(empty_postgres_dsn, after=False) == [name for name, _ in every]
    assert await migrate.migrate(empty_postgres_dsn, after=False) == [name for name, _ in every]


async def test_several_at_once_take_turns(empty_postgres_dsn: str) -> None:
    applied = await asyncio.gather(*(migrate.migrate(empty_postgres_dsn) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], [name for name, _ in migrate.files()]]


async def test_a_failing_migration_leaves_nothing_and_is_named(
    empty_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [*migrate.files(), ("9999_broken.sql", "CREATE TABLE half (a int); SELECT no_such_function();")]
    monkeypatch.setattr(migrate, "files", lambda: broken)
    with pytest.raises(MigrationError, match=r"9999_broken\.sql"):
        await migrate.migrate(empty_postgres_dsn)
    assert await columns(empty_postgres_dsn, "half") == []
    assert await columns(empty_postgres_dsn, "workspace")


async def test_tables_have_the_columns_that_the_code_declares(postgres_dsn: str) -> None:
    for tier in TIERS:
        assert await columns(postgres_dsn, tier.table) == ["workspace", "series", "bucket", *COUNTERS]
    for tier in SUMS.values():
        assert await columns(postgres_dsn, tier.table) == ["workspace", "dimension", "bucket", "value", *COUNTERS]
    assert await columns(postgres_dsn, "series") == ["workspace", "id", *DIMENSIONS, *Sender._fields]


async def test_the_page_of_the_schema_shows_what_the_migrations_make(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    shown = await schema.rendered(connection)
    await connection.close()
    assert schema.FILE.read_text() == shown, "write it anew: ./.venv/bin/python -m tests.schema"


async def test_rows_of_the_default_partition_move_into_a_new_one(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    table = next(table for table in partitions.TABLES if table.table == "engagement")
    start = partitions.add_months(datetime.now(UTC).date(), 30)
    low = partitions._bound(table, start)
    await connection.execute("INSERT INTO engagement VALUES (1, $1, 1, now(), NULL, 1)", low)
    assert await connection.fetchval("SELECT count(*) FROM engagement_default") == 1
    await partitions.ensure(connection, table, start, start)
    assert await connection.fetchval("SELECT count(*) FROM engagement_default") == 0
    assert await connection.fetchval(f"SELECT count(*) FROM {partitions.name(table, start)}") == 1
    await connection.close()


async def test_partitions_of_rollups_leave_room_for_updates(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    found = await connection.fetch(
        "SELECT DISTINCT i.inhparent::regclass::text AS parent, c.reloptions FROM pg_inherits i"
        " JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'r' AND c.relname ~ '_[0-9]{6}$'"
    )
    roomy = {row["parent"] for row in found if row["reloptions"] == ["fillfactor=80"]}
    assert roomy == {tier.table for rollup in ROLLUPS for tier in rollup.tiers} | {tier.table for tier in SUM_TIERS}
    assert {"event", "message", "engagement"} <= {row["parent"] for row in found if row["reloptions"] is None}
    await connection.close()


async def test_a_partition_that_two_make_at_once_is_made_by_one(postgres_dsn: str) -> None:
    """A migration, and an aggregator that looks after its tables."""
    one, other = await asyncpg.connect(postgres_dsn), await asyncpg.connect(postgres_dsn)
    table = next(table for table in partitions.TABLES if table.table == "event")
    start = partitions.add_months(datetime.now(UTC).date(), 30)
    async with one.transaction():
        await partitions.ensure(one, table, start, start)
        second = asyncio.create_task(partitions.ensure(other, table, start, start))
        async with asyncio.timeout(PATIENCE):
            while not await one.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await one.execute("SELECT pg_sleep(0.01)")
    await second
    await one.close()
    await other.close()


async def test_the_longest_labels_fit_into_the_index_of_series(postgres_dsn: str) -> None:
    """Labels share an index entry of at most 2704 bytes; random ones, which do not compress."""
    draw = random.Random(1)

    def text(characters: int, size: int) -> str:
        return "".join(chr(draw.randrange(*{3: (0x4E00, 0x9F00), 1: (0x21, 0x7F)}[size])) for _ in range(characters))

    campaign, template = (fields.label("x", text(133, 3), 200) for _ in range(2))
    provider = fields.label("x", text(33, 3), 50).upper()
    tags = fields.labels("tags", [text(40, 1) for _ in range(20)])
    domain = ".".join(text(3, 1) for _ in range(63))
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(
        "INSERT INTO series (workspace, campaign, domain, provider, template, tags) VALUES (1, $1, $2, $3, $4, $5)",
        campaign,
        domain,
        provider,
        template,
        tags,
    )
    await connection.close()


@pytest.mark.parametrize("is_broken", [False, True])
async def test_an_index_over_all_messages_is_built_before_its_migration(
    empty_postgres_dsn: str, *, is_broken: bool
) -> None:
    """It takes longer than the migration may where there are many, and holds nobody up."""
    await migrate_up_to(empty_postgres_dsn, "0012")
    connection = await asyncpg.connect(empty_postgres_dsn)
    await connection.execute(
        "INSERT INTO message (workspace, id, series, campaign, from_address, to_hash, to_domain, subject, provider,"
        " provider_account, provider_message, template, tags, created_at, flags, links)"
        " VALUES (1, $1, 1, '', '', 'h', '', '', '', '', '', '', '{}', now(), 0, 0)",
        uuid7.new(),
    )
    # With this in its way the migration itself does nothing.
    await connection.execute("ALTER TABLE waiting ADD COLUMN to_hash text")
    with pytest.raises(MigrationError, match=r"0012_addressed\.sql: column \"to_hash\""):
        await migrate.migrate(empty_postgres_dsn)
    filled = await connection.fetchval("SELECT tableoid::regclass::text FROM message")
    (built,) = [row for row in await recipients_indexes(connection) if row["table"] == filled]
    assert (built["valid"], built["parent"]) == (True, None)
    if is_broken:  # as when it was cut off
        await connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1", built["oid"])
    await connection.execute("ALTER TABLE waiting DROP COLUMN to_hash")
    await migrate_up_to(empty_postgres_dsn, "0037")  # which takes it away again
    (taken,) = [row for row in await recipients_indexes(connection) if row["table"] == built["table"]]
    assert (taken["valid"], taken["parent"]) == (True, "message_recipient")
    assert (taken["oid"] == built["oid"]) is not is_broken
    assert await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'message_recipient'::regclass")
    await connection.close()


async def test_an_index_of_a_table_without_partitions_is_built_beforehand_too(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = "CREATE UNIQUE INDEX IF NOT EXISTS link_by_url ON link (workspace, url) WHERE id > 0;"
    # What this transaction finds tells that the index was there before it.
    within = "SELECT 1 / count(*) FROM pg_class WHERE relname = 'link_by_url';"
    every = [*migrate.files(), ("9999_links.sql", f"{within}\n{index}")]
    monkeypatch.setattr(migrate, "files", lambda: every)
    assert await migrate.migrate(postgres_dsn) == ["9999_links.sql"]
    connection = await asyncpg.connect(postgres_dsn)
    (found,) = await connection.fetch("SELECT indexdef FROM pg_indexes WHERE indexname = 'link_by_url'")
    assert "UNIQUE" in found["indexdef"]
    assert "WHERE (id > 0)" in found["indexdef"]
    await connection.close()


@pytest.mark.parametrize("name", ["0037_sparse_rollups.after.sql", "0044_turned_indexes.sql"])
async def test_rollups_are_changed_without_a_circle_of_readers(empty_postgres_dsn: str, name: str) -> None:
    """A question reads days first and then the quarter-hours behind its range, which the migration waits for, too."""
    await migrate_up_to(empty_postgres_dsn, name)
    counting, reading, looking = [await asyncpg.connect(empty_postgres_dsn) for _ in range(3)]
    await index_builds.before(looking, name, dict(migrate.files())[name])  # which waits for counts that are not over
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'activity_15m'::regclass"

    async def waits(n: int, or_done: "asyncio.Task[object]") -> None:
        async with asyncio.timeout(PATIENCE):
            while await looking.fetchval(waiting) < n and not or_done.done():
                await looking.execute("SELECT pg_sleep(0.01)")

    count = counting.transaction()
    await count.start()
    await counting.execute("LOCK TABLE activity_15m IN ROW EXCLUSIVE MODE")
    migrating = asyncio.create_task(migrate.migrate(empty_postgres_dsn))
    await waits(1, migrating)
    async with reading.transaction():
        assert await reading.fetchval("SELECT count(*) FROM activity_1d") == 0
        hours = asyncio.create_task(reading.fetchval("SELECT count(*) FROM activity_15m"))
        await waits(2, hours)
        await count.commit()
        assert await hours == 0
    assert name in await migrating
    for one in (counting, reading, looking):
        await one.close()


def test_every_new_index_of_a_table_that_is_there_can_be_built_beforehand() -> None:
    partitioned = {one.table for one in partitions.TABLES}
    for name, sql in migrate.files():
        new = set(re.findall(r"^CREATE TABLE (\w+)", sql, re.MULTILINE))
        for _, optional, index, table, _ in index_builds.made(sql) if name >= "0024" else ():
            assert optional or table in new | partitioned, f"{name}: {index} lacks IF NOT EXISTS"


async def recipients_indexes(connection: "asyncpg.Connection[asyncpg.Record]") -> list[asyncpg.Record]:
    """Of partitions of the messages, those over recipients, and what they are a part of."""
    return await connection.fetch(
        "SELECT x.indexrelid AS oid, x.indrelid::regclass::text AS table, x.indisvalid AS valid,"
        " i.inhparent::regclass::text AS parent FROM pg_index x LEFT JOIN pg_inherits i ON i.inhrelid = x.indexrelid"
        " WHERE x.indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'message'::regclass)"
        " AND pg_get_indexdef(x.indexrelid) LIKE '%(workspace, to_hash, created_at)'"
    )


async def test_months_that_only_hours_are_kept_of_become_quarter_hours(postgres_dsn: str) -> None:
    """Where hours are kept for longer than these (ADR 0069), with what has come late since the update."""
    alone, common = (partitions.add_months(datetime.now(UTC).date(), -back) for back in (20, 2))
    counted = [("cohort_created", "delivered"), ("cohort_sent", "opened"), ("link_activity", "human_clicks")]
    hours = ((0, 5), (1, 7), (2, None), (3, 1))
    connection = await asyncpg.connect(postgres_dsn)

    async def add(table: str, counter: str, bucket: datetime, n: int | None) -> None:
        link, one = (", link", ", 1") if table.startswith("link") else ("", "")
        await connection.execute(
            f"INSERT INTO {table} (workspace, series, bucket, {counter}{link}) VALUES (1, 2, $1, $2{one})", bucket, n
        )

    def at(month: date, minutes: int) -> datetime:
        return datetime(month.year, month.month, 3, tzinfo=UTC) + timedelta(minutes=minutes)

    for name, counter in counted:
        await connection.execute(f"CREATE TABLE {name}_1h (LIKE {name}_15m INCLUDING ALL) PARTITION BY RANGE (bucket)")
        (table,) = (one for one in partitions.TABLES if one.table == f"{name}_1h")
        for month in (alone, common):
            await partitions.ensure(connection, table, month, month)
            for hour, n in hours:
                await add(table.table, counter, at(month, 60 * hour), n)
        for back in range(partitions.MONTHS_BACK - 20 + 1):  # as retention does, all of before, too
            await connection.execute(f"DROP TABLE {name}_15m_{partitions.add_months(alone, -back):%Y%m}")
    await connection.execute("DELETE FROM migration WHERE name LIKE '%no_hours%'")
    await migrate.migrate(postgres_dsn, after=False)
    await partitions.ensure_now(connection)  # as new aggregators do
    for name, counter in counted:
        await add(f"{name}_15m", counter, at(alone, 60), 3)  # the first quarter of an hour, and another one
        await add(f"{name}_15m", counter, at(alone, 195), 1)
    await migrate.migrate(postgres_dsn)
    for name, counter in counted:
        rows = await connection.fetch(f"SELECT bucket, {counter} FROM {name}_15m WHERE workspace = 1 ORDER BY bucket")
        assert [tuple(row) for row in rows] == [(at(alone, 0), 5), (at(alone, 60), 7), (at(alone, 195), 1)]
        assert await connection.fetchval("SELECT to_regclass($1)", f"{name}_1h") is None
    await connection.close()
