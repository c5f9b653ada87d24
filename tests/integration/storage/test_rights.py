"""What the services' roles may do in Postgres, and what nobody but the owner may (ADR 0029)."""

import asyncpg
import pytest

from postmeter.shared.storage import migrate, rights
from tests.roles import of_service

SERVICES = sorted(rights.RIGHTS)
DENIED = asyncpg.InsufficientPrivilegeError


async def tries(dsn: str, service: str, *statements: str) -> list[str]:
    """Those of the statements that the service's role may run; nothing stays of them."""
    connection = await asyncpg.connect(of_service(dsn, service))
    allowed = []
    try:
        for statement in statements:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(statement)
                allowed.append(statement)
            except DENIED:
                pass
            finally:
                await transaction.rollback()
    finally:
        await connection.close()
    return allowed


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_s_role_is_no_more_than_it_needs(postgres_dsn: str, service: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    tables = [r["relname"] for r in await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition ORDER BY 1"
    )]  # fmt: skip
    views = [r["viewname"] for r in await connection.fetch("SELECT viewname FROM pg_views WHERE schemaname = 'public'")]
    await connection.close()
    assert {*tables} >= {"message", "event", "api_key", "webhook_source", "export", "migration", "confined_campaign"}
    for table in tables:
        ruin = (f"ALTER TABLE {table} ADD COLUMN more int", f"DROP TABLE {table} CASCADE", f"TRUNCATE {table} CASCADE")
        assert await tries(postgres_dsn, service, *ruin) == []
    assert (
        await tries(
            postgres_dsn,
            service,
            "CREATE TABLE mine (x int)",
            "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            f"ALTER ROLE {rights.role(service)} SUPERUSER",
            "CREATE ROLE another",
            "SELECT pg_read_file('/etc/passwd')",
            "COPY workspace TO PROGRAM 'true'",
        )
        == []
    )
    reads = [f"SELECT * FROM {table} LIMIT 1" for table in (*tables, *views)]
    told = {table for tables in rights.RIGHTS[service].values() for table in tables}
    assert {one.split()[3] for one in await tries(postgres_dsn, service, *reads)} == told - {
        table for right, names in rights.RIGHTS[service].items() if "SELECT (" in right for table in names
    }


async def test_only_the_gateway_reads_keys_and_only_tracking_writes_sources(postgres_dsn: str) -> None:
    keys, secrets = "SELECT hmac FROM api_key", "SELECT secret FROM webhook_source"
    change = "UPDATE webhook_source SET secret = ''"
    found = {service: await tries(postgres_dsn, service, keys, secrets, change) for service in SERVICES}
    assert found == {"gateway": [keys, secrets], "tracking": [secrets, change], "aggregator": [], "query": []}


@pytest.mark.parametrize("service", SERVICES)
async def test_partitions_are_made_and_dropped_by_the_aggregator_alone(postgres_dsn: str, service: str) -> None:
    made = "SELECT postmeter_make_partition('event', 'event_203001', '2030-01-01', '2030-02-01', '')"
    month = "SELECT postmeter_drop_partition('event', 'event_202601')"
    assert await tries(postgres_dsn, service, made) == ([made] if service == "aggregator" else [])
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(made)
    await connection.close()
    dropped = month.replace("202601", "203001")
    assert await tries(postgres_dsn, service, dropped) == ([dropped] if service == "aggregator" else [])


@pytest.mark.parametrize(
    ("parent", "partition"),
    [
        ("event", "workspace"),
        ("event", "event_default"),
        ("message", "message_default"),
        ("api_key", "api_key_202601"),
        ("event", "message_202601"),
        ("event", "event_203001; DROP TABLE workspace"),
        ("event", 'event" CASCADE; --_202601'),
        ("pg_catalog.pg_class", "pg_class_202601"),
    ],
)
async def test_the_functions_touch_nothing_but_dated_partitions(postgres_dsn: str, parent: str, partition: str) -> None:
    connection = await asyncpg.connect(of_service(postgres_dsn, "aggregator"))
    try:
        for call in ("make_partition($1, $2, '2030-01-01', '2030-02-01', '')", "drop_partition($1, $2)"):
            with pytest.raises(DENIED):
                await connection.execute(f"SELECT postmeter_{call}", parent, partition)
    finally:
        await connection.close()


async def test_a_role_that_comes_later_gets_its_rights_by_the_next_migrate(empty_postgres_dsn: str) -> None:
    """And one that has too many loses them."""
    await migrate.migrate(empty_postgres_dsn)
    connection = await asyncpg.connect(empty_postgres_dsn)
    await connection.execute("GRANT DELETE ON workspace TO postmeter_query")
    await connection.execute("REVOKE SELECT ON workspace FROM postmeter_query")
    await connection.close()
    assert await migrate.migrate(empty_postgres_dsn) == []
    read, delete = "SELECT FROM workspace", "DELETE FROM workspace"
    assert await tries(empty_postgres_dsn, "query", read, delete) == [read]


async def test_a_temporary_table_does_not_stand_in_for_one_of_ours(postgres_dsn: str) -> None:
    """Who calls a function of the owner's decides nothing of what its names mean."""
    connection = await asyncpg.connect(of_service(postgres_dsn, "aggregator"))
    try:
        await connection.execute("CREATE TEMP TABLE event (x int)")
        await connection.execute(
            "SELECT postmeter_make_partition('event', 'event_203001', '2030-01-01', '2030-02-01', '')"
        )
        parent = await connection.fetchval(
            "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = 'event_203001'::regclass"
        )
        assert parent == "public.event"
    finally:
        await connection.close()
