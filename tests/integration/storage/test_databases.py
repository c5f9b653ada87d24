"""Tests get databases that others have had: what those leave behind is taken out, or noticed."""

import asyncpg
import pytest

from tests.databases import Databases

UNLIKE_NEW = (
    "CREATE TABLE more (x int)",
    "DROP INDEX activity_1d_bucket",
    "ALTER TABLE workspace ADD COLUMN more int",
    "ALTER TABLE workspace ALTER COLUMN name DROP NOT NULL",
    "ALTER TABLE workspace DROP COLUMN timezone CASCADE",
    "ALTER TABLE workspace SET (fillfactor = 50)",
    "CREATE FUNCTION more() RETURNS int LANGUAGE sql RETURN 1",
    "GRANT SELECT ON audit TO postmeter_tracking",
    "GRANT SELECT (name) ON workspace TO postmeter_aggregator",
    "CREATE SCHEMA more",
    "INSERT INTO workspace (id, name) VALUES ('w', 'w'); ANALYZE workspace",
    "VACUUM workspace",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''1MB''', current_database()); END $$",
)


async def after(databases: Databases, statement: str) -> tuple[str, str]:
    """A database in which a statement was done, and the one that the next test gets."""
    dsn = await databases.take()
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await databases.give_back(dsn)  # a test may leave its connections open
    assert connection.is_closed()
    following = await databases.take()
    await databases.give_back(following)
    return dsn, following


@pytest.fixture
def own(databases: Databases) -> Databases:
    """None of them was another test's."""
    return Databases(databases.server, databases.template)


async def test_rows_and_numbers_are_as_in_a_new_one(own: Databases) -> None:
    seen = []
    for write in (
        "INSERT INTO workspace (id, name) VALUES ('w', 'w'); UPDATE slot SET slot = slot + 1000 WHERE slot < 9;"
        " DELETE FROM migration; INSERT INTO activity_1d (workspace, series, bucket) VALUES (1, 1, now());"
        " SELECT postmeter_raise_versions(ARRAY[0, 1])",
        "SELECT 1",
    ):
        _, following = await after(own, write)
        connection = await asyncpg.connect(following)
        seen.append(
            [
                await connection.fetch("SELECT * FROM slot ORDER BY 1"),
                await connection.fetch("SELECT * FROM migration ORDER BY 1"),
                await connection.fetchval("SELECT count(*) FROM activity_1d"),
                await connection.fetchval("SELECT array_agg(slot) FROM answer_version"),
                await connection.fetchval("INSERT INTO workspace (id, name) VALUES ('x', 'x') RETURNING number"),
            ]
        )
        await connection.close()
    assert seen[0] == seen[1]
    assert (len(seen[0][0]), seen[0][-1]) == (256, 1)
    assert own.emptied > own.made  # autovacuum may come by once
    await own.close()


@pytest.mark.parametrize("statement", UNLIKE_NEW)
async def test_what_is_not_as_new_is_nobody_s_again(own: Databases, statement: str) -> None:
    dsn, following = await after(own, statement)
    assert following != dsn
    await own.close()


async def test_what_autovacuum_does_to_catalogs_makes_no_difference(own: Databases) -> None:
    """It comes by after a minute: until the end of a run each test would get a new database."""
    dsn, following = await after(own, "VACUUM pg_catalog.pg_attribute")
    assert following == dsn
    await own.close()
