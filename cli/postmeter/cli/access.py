"""Reaching the database from a command: by environment, or through a data directory."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import asyncpg

from postmeter.cli.local import database, vault
from postmeter.cli.local.errors import DataDirectoryError
from postmeter.cli.local.lock import DirectoryLock, held
from postmeter.cli.local.stores import Stores
from postmeter.shared.postgres import Connection
from postmeter.shared.secret import Secret

T = TypeVar("T")
DEFAULT_DATA = Path(".postmeter")


@contextmanager
def database_dsn(data: Path | None) -> Iterator[Secret]:
    """The DSN that a command works on.

    `data` names a directory of `postmeter up`: its Postgres is used if it runs, else started for as long
    as the command takes. Without `data`: POSTMETER_POSTGRES_DSN, else the default directory.
    Raises LocalError.
    """
    external = os.environ.get("POSTMETER_POSTGRES_DSN")
    if external:
        yield Secret(external)
        return
    folder = (data or DEFAULT_DATA).absolute()
    if not (folder / vault.FILE).exists():
        raise DataDirectoryError(
            f"{folder} holds no Postmeter data: name its directory with --data, or a server in POSTMETER_POSTGRES_DSN"
        )
    stores = Stores(folder, vault.load(folder))
    assert stores.postgres is not None
    if held(folder):
        yield Secret(stores.postgres_dsn)
        return
    with DirectoryLock(folder):
        stores.postgres.start()
        try:
            asyncio.run(database.ensure_database(stores.postgres.dsn()))
            yield Secret(stores.postgres_dsn)
        finally:
            stores.postgres.stop()


def key_pepper(data: Path | None) -> Secret:
    """Return the pepper of API keys: POSTMETER_KEY_PEPPER, else the data directory's. Raises LocalError."""
    named = os.environ.get("POSTMETER_KEY_PEPPER")
    return Secret(named) if named else vault.load((data or DEFAULT_DATA).absolute()).key_pepper


def with_connection(data: Path | None, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run `work` on a connection and return what it returns."""

    async def connected(dsn: Secret) -> T:
        connection = await asyncpg.connect(dsn.reveal(), timeout=10.0, command_timeout=30.0)
        try:
            return await work(connection)
        finally:
            await connection.close()

    with database_dsn(data) as dsn:
        return asyncio.run(connected(dsn))
