"""What local mode needs in its database before the services start."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import asyncpg

from postmeter.cli.local import vault
from postmeter.cli.local.errors import LocalError
from postmeter.cli.local.servers.postgres_server import PostgresServer
from postmeter.cli.local.vault import Vault
from postmeter.gateway.keys import registry as key_registry
from postmeter.gateway.people import links, users
from postmeter.gateway.people.links import Purpose
from postmeter.gateway.workspace import registry as workspace_registry
from postmeter.shared.storage import rights
from postmeter.shared.storage.migrate import migrate
from postmeter.shared.storage.postgres import AWAY, Connection
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.cli.local", "database.sql")
NAME = "postmeter"
OWNER = "postmeter_owner"
ADMINISTRATOR = "admin@localhost"
"""Email of the user whom `up` signs in."""


class Workspace(NamedTuple):
    """A workspace that local mode makes: its id, its name, its IANA time zone."""

    id: str
    name: str
    timezone: str


DEFAULT = Workspace(vault.DEFAULT, "Default", "UTC")


@contextmanager
def named_errors() -> Iterator[None]:
    """Raise what a connection may raise as a LocalError that says it was Postgres."""
    try:
        yield
    except AWAY as error:
        raise LocalError(f"Postgres: {str(error) or type(error).__name__}") from error


async def ensure_database(server: PostgresServer, secrets: Vault) -> None:
    """Make our roles and our database on our own server, if they are missing: the only thing that its superuser does.

    A database of the version before, which had only the superuser, is handed to its owner.
    """
    with named_errors():
        connection = await asyncpg.connect(server.dsn())
        try:
            for role in (OWNER, *map(rights.role, rights.RIGHTS)):
                await _ensure_role(connection, role, secrets.password_of(role).reveal())
            owner = await connection.fetchval(_QUERIES["owner"], NAME)
            if owner is None:
                await connection.execute(f'CREATE DATABASE "{NAME}"')
        finally:
            await connection.close()
        if owner != OWNER:
            await _hand_over(server)


async def _ensure_role(connection: Connection, role: str, password: str) -> None:
    if not await connection.fetchval(_QUERIES["role"], role):
        # A statement that makes a role takes no parameters; both are names and hexadecimal digits of ours.
        await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")


async def _hand_over(server: PostgresServer) -> None:
    """Make all that is in the database, and then the database, its owner's; begun again where it was cut off."""
    connection = await asyncpg.connect(server.dsn(NAME))
    try:
        async with connection.transaction():
            for row in await connection.fetch(_QUERIES["not_owned"], OWNER):
                await connection.execute(f"ALTER {row['kind']} {row['name']} OWNER TO {OWNER}")
            await connection.execute(f"ALTER SCHEMA public OWNER TO {OWNER}")
            await connection.execute(f'REVOKE ALL ON DATABASE "{NAME}" FROM PUBLIC')
            roles = ", ".join(map(rights.role, rights.RIGHTS))
            await connection.execute(f'GRANT CONNECT ON DATABASE "{NAME}" TO {roles}')
            await connection.execute(f'ALTER DATABASE "{NAME}" OWNER TO {OWNER}')
    finally:
        await connection.close()


async def prepare(dsn: str, secrets: Vault, wanted: Workspace) -> None:
    """Apply migrations, make the workspace `default` and the one wanted, with their first keys."""
    with named_errors():
        await migrate(dsn)
        connection = await asyncpg.connect(dsn)
        try:
            for workspace in dict.fromkeys((DEFAULT, wanted)):
                await workspace_registry.create(connection, *workspace)
                await key_registry.ensure(connection, secrets.key_pepper, workspace.id, secrets.key_of(workspace.id))
        finally:
            await connection.close()


async def sign_in_link(dsn: str, workspace: str, base: str) -> str | None:
    """A link by which a workspace's administrator signs in, who is made if there is none. None: they are disabled."""
    with named_errors():
        connection = await asyncpg.connect(dsn)
        try:
            async with connection.transaction():
                with suppress(users.UserExists):
                    await users.create(connection, workspace, ADMINISTRATOR, "admin", None)
                user = await users.of_email(connection, ADMINISTRATOR, workspace)
                if user.disabled_at is not None:
                    return None
                token = await links.make(connection, *user.place, Purpose.SIGN_IN)
        finally:
            await connection.close()
    return links.url(base, Purpose.SIGN_IN, token)
