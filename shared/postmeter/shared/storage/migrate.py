"""Brings the schema up to date: the numbered files in `migrations/`, in their order, each in a transaction of its own.

An update has two steps (ADR 0057). Before the services are replaced, `migrate` applies what services of the version
before can work with; once none of these runs any more, `migrate --after` applies the rest: the files that are called
`NUMBER_name.after.sql`, and it takes away the rights that only they needed.

What takes longer than a transaction may is done before it (index_builds.py). The digest of what was applied is
kept: a migration whose text is another afterwards is refused, for then nobody knows what the schema is.

Several may start at once: they take turns by polling `pg_try_advisory_lock` (waiting inside
`pg_advisory_lock` would deadlock with CREATE INDEX CONCURRENTLY).
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import itertools
from collections.abc import Awaitable, Callable
from importlib import resources

import asyncpg

from postmeter.shared.errors import MigrationError
from postmeter.shared.storage import index_builds, partitions, rights, verdict_reasons
from postmeter.shared.storage.postgres import Connection, Pool

LOCK = 0x706F73746D657465
WAIT_SECONDS = 60.0
MINIMUM_VERSION = 150000
AFTER = ".after.sql"
"""How the names of migrations end that services of the version before cannot work with."""


@functools.cache
def files() -> tuple[tuple[str, str], ...]:
    """(name, SQL) of every migration, in order."""
    folder = resources.files("postmeter.shared.storage").joinpath("migrations")
    return tuple(sorted((f.name, f.read_text()) for f in folder.iterdir() if f.name.endswith(".sql")))


async def require_current(connection: Connection | Pool) -> None:
    """Raise MigrationError, saying what to do, unless every migration that this version's services need is applied."""
    try:
        done = {row["name"] for row in await connection.fetch("/* migrations */ SELECT name FROM migration")}
    except asyncpg.UndefinedTableError:
        raise MigrationError("there is no schema yet: run `postmeter migrate`") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationError(
            f"{error.args[0]}: run `postmeter migrate` with the owner's DSN, which gives roles their rights"
        ) from None
    if missing := {name for name, _ in files() if not name.endswith(AFTER)} - done:
        raise MigrationError(f"the schema lacks {', '.join(sorted(missing))}: run `postmeter migrate`")


def checks(pool: Pool) -> dict[str, Callable[[], Awaitable[object]]]:
    """What /readyz asks of Postgres: that it answers, and that it has the schema of this version."""
    return {"postgres": lambda: pool.fetchval("SELECT 1"), "schema": lambda: require_current(pool)}


async def pending(dsn: str, *, after: bool = True) -> list[str]:
    """What `migrate` would apply, in order. Raises MigrationError as it would."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
    try:
        if not await connection.fetchval("SELECT to_regclass('migration') IS NOT NULL"):
            return [name for name, _ in files()]
        await _check(connection)
        return [name for name, _ in await _wanted(connection, after=after)]
    finally:
        await connection.close()


async def _wanted(connection: asyncpg.Connection[asyncpg.Record], *, after: bool) -> list[tuple[str, str]]:
    """Those that are missing, of both steps or of the first. A database that has none gets all: nobody works on it."""
    done = {row["name"] for row in await connection.fetch("SELECT name FROM migration")}
    missing = [(name, sql) for name, sql in files() if name not in done]
    if after or not done:
        return missing
    now = list(itertools.takewhile(lambda file: not file[0].endswith(AFTER), missing))
    for name, _ in missing[len(now) :]:
        if not name.endswith(AFTER):
            raise MigrationError(
                f"{name} needs {missing[len(now)][0]}, with which older services cannot work: stop those that run, "
                "then run `postmeter migrate --after` and start the new ones"
            )
    return now


async def _check(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Compare what was applied with what there is. Those applied before digests were kept are believed."""
    # Read as a whole row, for the column may not be there yet.
    applied = {row["name"]: dict(row).get("digest") for row in await connection.fetch("SELECT * FROM migration")}
    changed = [name for name, sql in files() if applied.get(name) not in (None, _digest(sql))]
    if changed:
        raise MigrationError(
            f"{', '.join(changed)}: changed after it was applied here; take the file as it was released, and put the "
            "change into a new migration"
        )


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


async def migrate(dsn: str, *, after: bool = True) -> list[str]:
    """Apply what is missing and make the partitions of the months around now; returns what was applied.

    after: no service of the version before runs, so do both steps. Partitions are made after each migration, so that
    the next one can fill what this one has made; not those that retention has dropped, for a migration may ask which
    these are. Of a database that had nothing, whose months nothing fills, they are made after the last one. In the end
    the roles of services that the server has get their rights (rights.py), whatever was applied; they lose what is not
    theirs in the second step.

    Raises MigrationError that names the migration, or the version that Postgres should have.
    """
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
    try:
        if await connection.fetchval("SELECT current_setting('server_version_num')::int") < MINIMUM_VERSION:
            raise MigrationError("Postgres 15 or newer is needed")
        await _lock(connection)
        await partitions.install(connection)
        await verdict_reasons.install(connection)
        await partitions.ensure_now(connection, dropped=False)
        applied = await _apply(connection, after=after)
        await rights.give(connection, take=after)
        return applied
    finally:
        await connection.close()


async def _lock(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        if asyncio.get_running_loop().time() > deadline:
            raise MigrationError(f"another migration has been running for {WAIT_SECONDS:.0f} seconds")
        await asyncio.sleep(0.1)


async def _apply(connection: asyncpg.Connection[asyncpg.Record], *, after: bool) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());"
        " ALTER TABLE migration ADD COLUMN IF NOT EXISTS digest text"
    )
    await _check(connection)
    known = {name: _digest(sql) for name, sql in files()}
    await connection.execute(
        "UPDATE migration m SET digest = k.digest FROM unnest($1::text[], $2::text[]) AS k (name, digest)"
        " WHERE m.name = k.name AND m.digest IS NULL",
        list(known),
        list(known.values()),
    )
    applied = []
    wanted = await _wanted(connection, after=after)
    fresh = len(wanted) == len(known)
    for name, sql in wanted:
        try:
            await index_builds.before(connection, name, sql)
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '300s'")
                await connection.execute(sql)
                await connection.execute("INSERT INTO migration (name, digest) VALUES ($1, $2)", name, known[name])
        except asyncpg.PostgresError as error:
            raise MigrationError(f"{name}: {error}") from error
        if not fresh:
            await partitions.ensure_now(connection, dropped=False)
        applied.append(name)
    if fresh:
        await partitions.ensure_now(connection)
    return applied
