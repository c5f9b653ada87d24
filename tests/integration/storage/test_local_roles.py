"""Local mode's own Postgres: its superuser makes the roles and the database, and does nothing else (ADR 0029)."""

import uuid

import asyncpg
import pytest

from postmeter.cli.local import database, vault
from postmeter.cli.local.servers.binaries import find_postgres
from postmeter.cli.local.servers.postgres_server import PostgresServer
from postmeter.shared.storage import migrate, rights
from tests.conftest import fast_place

OWNED = (
    "SELECT pg_get_userbyid(relowner) AS owner, count(*) FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace GROUP BY 1"
)


@pytest.fixture
def secrets() -> vault.Vault:
    return vault.fresh()


@pytest.fixture
def server(secrets: vault.Vault) -> "PostgresServer":
    folder = fast_place() / f"pmtest-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o711)
    made = PostgresServer(
        binaries=find_postgres(),
        data=folder / "postgres",
        sockets=folder,
        log=folder / "postgres.log",
        password=secrets.postgres_password.reveal(),
        settings={"fsync": "off", "shared_buffers": "16MB"},
    )
    return made


def dsn(server: PostgresServer, secrets: vault.Vault, role: str) -> str:
    return server.dsn(database.NAME, role, secrets.password_of(role).reveal())


async def value(dsn: str, query: str, *arguments: object) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def check(server: PostgresServer, secrets: vault.Vault) -> None:
    """All is the owner's, no role of ours is a superuser, and each service gets in as itself."""
    connection = await asyncpg.connect(server.dsn(database.NAME))
    try:
        assert {row["owner"] for row in await connection.fetch(OWNED)} == {database.OWNER}
        functions = await connection.fetch(
            "SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
        assert [row[0] for row in functions] == [database.OWNER]
        weak = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname ~ '^postmeter_' AND rolsuper")
        assert weak == []
    finally:
        await connection.close()
    for service in rights.RIGHTS:
        role = rights.role(service)
        assert await value(dsn(server, secrets, role), "SELECT session_user") == role
        with pytest.raises(asyncpg.PostgresError):
            await value(server.dsn(database.NAME, role, "a guess"), "SELECT 1")
        with pytest.raises(asyncpg.PostgresError):
            await value(server.dsn("postgres", role, secrets.password_of(role).reveal()), "DROP DATABASE postmeter")


async def test_a_new_server_has_an_owner_and_a_role_for_each_service(
    server: PostgresServer, secrets: vault.Vault
) -> None:
    server.start()
    try:
        for _ in range(2):
            await database.ensure_database(server, secrets)
            await database.prepare(dsn(server, secrets, database.OWNER), secrets, database.DEFAULT)
        await check(server, secrets)
    finally:
        server.stop()


async def test_a_database_of_before_is_handed_to_its_owner_with_all_that_is_in_it(
    server: PostgresServer, secrets: vault.Vault
) -> None:
    server.start()
    try:
        await value(server.dsn(), f"CREATE DATABASE {database.NAME}")
        await migrate.migrate(server.dsn(database.NAME))
        await value(server.dsn(database.NAME), "INSERT INTO workspace (id, name) VALUES ('kept', 'Kept')")
        await database.ensure_database(server, secrets)
        owner = dsn(server, secrets, database.OWNER)
        await database.prepare(owner, secrets, database.DEFAULT)
        await check(server, secrets)
        assert await value(owner, "SELECT name FROM workspace WHERE id = 'kept'") == "Kept"
        await value(owner, "SELECT postmeter_make_partition('event', 'event_204001', '2040-01-01', '2040-02-01', '')")
    finally:
        server.stop()
