"""The migration that fills totals and cohorts with what was counted before they were kept."""

import io
import random

import asyncpg
import msgspec
import pytest

from postmeter.shared.storage import migrate
from postmeter.shared.storage.rollups import ACTIVITY, COUNTERS, CREATED, SENT, Rollup
from postmeter.shared.stream.records import Record
from tests.aggregation import AT, SECOND, Bench, bench, registration
from tests.integration.flushes import HOUR, crowd, sides
from tests.older_schema import migrate_up_to

MESSAGES = 40
DAY = 24 * HOUR
AGES = (0, DAY, 31 * DAY, 200 * DAY, AT % (900 * SECOND))
"""How long before AT messages were created: also longer ago than is kept by the second, and on a bucket's edge."""
KEPT = ("series", "message", "engagement", *(tier.table for tier in ACTIVITY.tiers))
"""The tables from which totals and cohorts follow."""


async def count(at: Bench) -> None:
    noise = random.Random(3)
    registered: list[Record] = [
        registration(n, campaign=f"c{n % 3}", created=AT - AGES[n % len(AGES)]) for n in range(MESSAGES)
    ]
    async with sides(at, 1) as (side,):
        for workspace in (1, 2):
            for found in (registered, *(crowd(noise, MESSAGES) for _ in range(3))):
                await side.flush([msgspec.structs.replace(record, workspace=workspace) for record in found])


async def copy(old: "asyncpg.Connection[asyncpg.Record]", new: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Copy what the tables hold, without the totals, in the columns that they had before."""
    for table in KEPT:
        named = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position"
        columns = [row[0] for row in await new.fetch(named, table)]
        where = " WHERE series <> 0" if table.startswith("activity") else ""
        rows = io.BytesIO()
        picked = (f"coalesce({name}, 0)" if name in COUNTERS and where else name for name in columns)
        source = "mail" if table == "message" else table
        await old.copy_from_query(f"SELECT {', '.join(picked)} FROM {source}{where}", output=rows, format="binary")
        rows.seek(0)
        await new.copy_to_table(table, source=rows, columns=columns, format="binary")


async def rows_of(connection: "asyncpg.Connection[asyncpg.Record]", rollup: Rollup) -> dict[str, list[tuple[object]]]:
    """Every row of every tier that counts anything."""
    # What was delivered before there was this counter is not in it.
    counters = [name for name in rollup.counters if name != "trackable"]
    any_counted = " OR ".join(f"{name} <> 0" for name in counters)
    columns = ", ".join(("workspace", "bucket", "series", *(f"coalesce({name}, 0)" for name in counters)))
    found = {}
    for tier in rollup.tiers:
        own = "true" if tier.has_total else "series <> 0"
        rows = await connection.fetch(
            f"SELECT {columns} FROM {tier.table} WHERE {own} AND ({any_counted}) ORDER BY 1, 2, 3"
        )
        found[tier.table] = [tuple(row) for row in rows]
    return found


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
async def test_what_was_counted_before_is_filled_in(
    postgres_dsn: str, empty_postgres_dsn: str, redis_url: str, zone: str
) -> None:
    await migrate_up_to(empty_postgres_dsn, "0002")
    new = await asyncpg.connect(empty_postgres_dsn)
    await new.execute(f"ALTER DATABASE \"{await new.fetchval('SELECT current_database()')}\" SET timezone = '{zone}'")
    async with bench(postgres_dsn, redis_url) as at:
        await count(at)
        await copy(at.db, new)
        await migrate.migrate(empty_postgres_dsn)
        for rollup in (ACTIVITY, CREATED, SENT):
            counted = await rows_of(at.db, rollup)
            assert all(counted.values())
            assert await rows_of(new, rollup) == counted
    await new.close()
