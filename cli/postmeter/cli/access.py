"""Reaching the database from a command: by environment, or through a data directory."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import asyncpg

from postmeter.cli.local import database, ready_file, vault
from postmeter.cli.local.errors import DataDirectoryError
from postmeter.cli.local.lock import DirectoryLock, held
from postmeter.cli.local.stores import POSTGRES_FOLDER, Stores
from postmeter.cli.options import DEFAULT_DATA
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.process import setting_types
from postmeter.shared.storage import migrate
from postmeter.shared.storage.postgres import Connection

T = TypeVar("T")
DSN = "POSTMETER_POSTGRES_DSN"
PEPPER = "POSTMETER_KEY_PEPPER"
SOURCE_KEY = "POSTMETER_SOURCE_KEY"
GATEWAY_URL = "POSTMETER_PUBLIC_GATEWAY_URL"
REDIS_URL = "POSTMETER_REDIS_URL"


@contextmanager
def database_dsn(data: Path | None) -> Iterator[Secret]:
    """The DSN that a command works on.

    `data` names a directory of `postmeter up`: its Postgres is used if it runs, else started for as long
    as the command takes. Without `data`: POSTMETER_POSTGRES_DSN, else the default directory.
    Raises LocalError.
    """
    folder = _folder(data)
    external = os.environ.get(DSN) or ""
    # `postmeter up` on somebody's server keeps only the secrets in its directory.
    if folder is None or not (folder / POSTGRES_FOLDER).exists():
        if not external:
            raise DataDirectoryError(f"{folder} has no Postgres of its own: name its server in {DSN}")
        yield Secret(external)
        return
    environ = {name: value for name, value in os.environ.items() if name != DSN}
    secrets = vault.load(folder)
    stores = Stores(folder, secrets, environ)
    assert stores.postgres is not None
    if held(folder):
        yield Secret(stores.postgres_dsn)
        return
    with DirectoryLock(folder):
        stores.postgres.start()
        try:
            asyncio.run(database.ensure_database(stores.postgres, secrets))
            yield Secret(stores.postgres_dsn)
        finally:
            stores.postgres.stop()


def key_pepper(data: Path | None) -> Secret:
    """Return the pepper of API keys, from where `database_dsn` has the database.

    A key stored under another deployment's pepper would never work. Raises LocalError and SettingsError.
    """
    folder = _folder(data)
    if folder is not None:
        return vault.load(folder).key_pepper
    named = os.environ.get(PEPPER)
    if not named:
        raise SettingsError(
            f"{PEPPER} is not set, but {DSN} is: give the pepper of that server's gateway, "
            "or name a directory of `postmeter up` with --data"
        )
    return Secret(named)


def source_key(data: Path | None) -> Secret:
    """Return what secrets of webhook sources are stored under, from where `database_dsn` has the database.

    Raises LocalError and SettingsError.
    """
    folder = _folder(data)
    if folder is not None:
        return vault.load(folder).source_key
    named = os.environ.get(SOURCE_KEY)
    if not named:
        raise SettingsError(f"{SOURCE_KEY} is not set, but {DSN} is: give the one of that server's tracking-service")
    return Secret(named)


def redis_url(data: Path | None) -> Secret:
    """Return where Redis is, from where `database_dsn` has the database. Raises LocalError and SettingsError."""
    folder = _folder(data)
    if folder is not None:
        return Secret(Stores(folder, vault.load(folder)).redis_url)
    named = os.environ.get(REDIS_URL)
    if not named:
        raise SettingsError(f"{REDIS_URL} is not set, but {DSN} is: name the Redis of that server's services")
    try:
        return setting_types.read(named, setting_types.RedisUrl)  # type: ignore[no-any-return]
    except ValueError as error:
        raise SettingsError(f"{REDIS_URL} {error}") from None


def gateway_url(data: Path | None) -> str:
    """Return the gateway's base URL as the outside knows it; a placeholder if it is not set."""
    named = os.environ.get(GATEWAY_URL)
    folder = _folder(data)
    if named or folder is None:
        return (named or "https://YOUR-GATEWAY").rstrip("/")
    try:
        return ready_file.read(folder).gateway
    except OSError:
        return "https://YOUR-GATEWAY"


def with_connection(data: Path | None, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run `work` on a connection to an up-to-date schema and return what it returns."""

    async def connected(dsn: Secret) -> T:
        connection = await asyncpg.connect(dsn.reveal(), timeout=10.0, command_timeout=30.0)
        try:
            await migrate.require_current(connection)
            return await work(connection)
        finally:
            await connection.close()

    with database_dsn(data) as dsn, database.named_errors():
        return asyncio.run(connected(dsn))


def _folder(data: Path | None) -> Path | None:
    """The data directory that a command works on; None when the environment names a server instead."""
    if data is None and os.environ.get(DSN):
        return None
    folder = (data or DEFAULT_DATA).absolute()
    try:
        (folder / vault.FILE).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise DataDirectoryError(
            f"{folder} holds no Postmeter data: name its directory with --data, or a server in {DSN};"
            " `postmeter up` makes a directory"
        ) from None
    except OSError as error:
        raise DataDirectoryError(f"cannot use the folder {folder}: {error.strerror}") from error
    return folder
