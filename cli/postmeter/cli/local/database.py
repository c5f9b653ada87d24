"""What local mode needs in its database before the services start."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from postmeter.cli import admin
from postmeter.cli.local.errors import LocalError
from postmeter.cli.local.vault import Vault
from postmeter.shared.migrate import migrate

NAME = "postmeter"
WORKSPACE = "default"


@contextmanager
def named_errors() -> Iterator[None]:
    """Raise what a connection may raise as a LocalError that says it was Postgres."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise LocalError(f"Postgres: {error or type(error).__name__}") from error


async def ensure_database(server_dsn: str) -> None:
    """Make our database on our own server, if it is missing."""
    with named_errors():
        connection = await asyncpg.connect(server_dsn)
        try:
            known = await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", NAME)
            if not known:
                await connection.execute(f'CREATE DATABASE "{NAME}"')
        finally:
            await connection.close()


async def prepare(dsn: str, vault: Vault) -> list[str]:
    """Apply migrations, make the workspace `default` and its first key. Returns the migrations applied."""
    with named_errors():
        applied = await migrate(dsn)
        connection = await asyncpg.connect(dsn)
        try:
            await admin.create_workspace(connection, WORKSPACE, "Default", "UTC")
            await admin.ensure_key(connection, vault.key_pepper, WORKSPACE, vault.api_key)
        finally:
            await connection.close()
        return applied
