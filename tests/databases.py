"""Databases of tests, each as the migrations leave one: made from a template, or emptied after another test.

A database has three thousand files, most of them partitions', which are copied to make it and removed to drop it: 83 ms
of CPU. A test fills some dozens. So these are emptied and the next test gets it (12 ms), if nothing else in it differs
from a new one: nothing that a statement of DDL, a grant or ANALYZE leaves behind, in any catalog that can hold such a
thing. Else it is dropped. Each has a connection of ours, idle while a test has the database: a new one would take
longer to load what it asks of the catalogs than all else takes.
"""

import io
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from postmeter.shared.storage.migrate import migrate
from tests.roles import make_roles

_CATALOGS = (
    *("pg_attribute", "pg_attrdef", "pg_index", "pg_constraint", "pg_inherits", "pg_partitioned_table", "pg_type"),
    *(
        "pg_proc",
        "pg_trigger",
        "pg_rewrite",
        "pg_policy",
        "pg_sequence",
        "pg_namespace",
        "pg_extension",
        "pg_statistic",
    ),
    *("pg_statistic_ext", "pg_db_role_setting", "pg_default_acl", "pg_event_trigger", "pg_publication"),
)
_WRITTEN = """
SELECT catalog::text, pg_stat_get_tuples_inserted(catalog) + pg_stat_get_tuples_updated(catalog)
    + pg_stat_get_tuples_deleted(catalog) AS times
FROM unnest($1::regclass[]) AS catalog
UNION ALL SELECT stats_reset::text, 0 FROM pg_stat_bgwriter
"""
"""How many rows of each catalog were ever written; and since when that is counted: a crash of the server changes it."""
_TABLES = """
SELECT count(*) AS rows, max(xmin::text::bigint) AS newest,
    sum(relpages) FILTER (WHERE relkind IN ('r', 't') AND oid >= 16384 AND relname <> ALL ($1)) AS pages,
    count(*) FILTER (WHERE relkind IN ('r', 't') AND oid >= 16384 AND reltuples >= 0 AND relname <> ALL ($1)) AS known
FROM pg_class
"""
_PLANNED = ("pages", "known")
"""What is in pg_class, which TRUNCATE writes, too: how many rows, which transaction has written the newest; and what
VACUUM tells the planner, which is changed in place. The latter not of the catalogs, whose oids are lower, and of the
tables $1, which have rows in the template: autovacuum comes by there after a minute, and by the template as well."""
_FILLED = """
SELECT c.oid::regclass::text AS name
FROM pg_class c JOIN pg_database d ON d.datname = current_database()
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    AND (pg_stat_file(format('base/%s/%s', d.oid, c.relfilenode))).size > 0
"""
"""By their files: pg_relation_size would open each table."""
_SEQUENCES = "SELECT seqrelid, coalesce(pg_sequence_last_value(seqrelid), 0) FROM pg_sequence ORDER BY 1"
_SET_BACK = "SELECT setval($1::oid::regclass, greatest($2, 1), $2 > 0)"
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_PATIENT = "SET lock_timeout = '10s'"


class Databases:
    """On one server, for one process. `server`: the DSN of somebody who may create databases."""

    def __init__(self, server: str, template: str) -> None:
        self.server, self.template = server, template
        self._rows: dict[str, bytes] = {}
        """What the migrations have put into tables."""
        self._sequences: dict[int, int] = {}
        self._fresh: dict[str, Any] = {}
        """What the planner is told of the template."""
        self._left: dict[str, dict[str, Any]] = {}
        """The same of each database that is there, as it was when it was handed out."""
        self._ours: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
        """By database."""
        self._free: list[str] = []
        self.made = self.emptied = 0

    async def take(self) -> str:
        """The DSN of a database that is as the migrations leave it, and nobody else's."""
        if self._free:
            return on_database(self.server, self._free.pop())
        if not self._fresh:
            await self._look_at_template()
        name = f"test_{uuid.uuid4().hex[:12]}"
        # Its files are copied, not written to the log page by page: three times as fast.
        await execute(self.server, f'CREATE DATABASE "{name}" TEMPLATE "{self.template}" STRATEGY file_copy')
        dsn = on_database(self.server, name)
        connection = await asyncpg.connect(dsn)
        self._ours[name] = connection
        await connection.execute(_PATIENT)
        self._left[name] = await _seen(connection, self._rows)
        self.made += 1
        return dsn

    async def give_back(self, dsn: str) -> None:
        """Whoever is still connected is cut off."""
        name = urlsplit(dsn).path.removeprefix("/")
        try:
            is_clean = await self._emptied(name)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # as where a test has taken its server away
            is_clean = False
        if is_clean:
            self._free.append(name)
            self.emptied += 1
        else:
            await self._drop(name)

    async def close(self) -> None:
        """Drop those that nobody has."""
        while self._free:
            await self._drop(self._free.pop())

    async def _drop(self, name: str) -> None:
        del self._left[name]
        self._ours.pop(name).terminate()
        await execute(self.server, f'DROP DATABASE "{name}" WITH (FORCE)')

    async def _look_at_template(self) -> None:
        connection = await asyncpg.connect(on_database(self.server, self.template))
        try:
            self._rows = {row["name"]: await _rows(connection, row["name"]) for row in await connection.fetch(_FILLED)}
            self._sequences = await _sequences(connection)
            seen = await _seen(connection, self._rows)
            self._fresh = {told: seen[told] for told in _PLANNED}
        finally:
            await connection.close()

    async def _emptied(self, name: str) -> bool:
        """Empty it; whether it is as a new one is then."""
        left, connection = self._left[name], self._ours[name]
        await connection.execute(_END_OTHERS)
        seen = await _seen(connection, self._rows)
        if any(seen[told] != left[told] for told in seen if told not in _PLANNED):
            return False
        changed = {row["name"] for row in await connection.fetch(_FILLED)} | self._rows.keys()
        changed -= {table for table, rows in self._rows.items() if await _rows(connection, table) == rows}
        if changed:
            await connection.execute(f"TRUNCATE {', '.join(sorted(changed))} CASCADE")
        for table in changed & self._rows.keys():
            await connection.copy_to_table(table, source=io.BytesIO(self._rows[table]))
        for sequence, value in (await _sequences(connection)).items():
            if value != self._sequences[sequence]:
                await connection.execute(_SET_BACK, sequence, self._sequences[sequence])
        emptied = await _seen(connection, self._rows)
        self._left[name] = emptied | {told: seen[told] for told in _PLANNED}
        return all(emptied[told] == wanted for told, wanted in self._fresh.items())


async def _seen(connection: "asyncpg.Connection[asyncpg.Record]", but: Iterable[str]) -> dict[str, Any]:
    """What is in the catalogs, as far as a test may not leave it otherwise than it found it."""
    written = await connection.fetch(_WRITTEN, _CATALOGS)
    tables = await connection.fetchrow(_TABLES, list(but))
    assert tables is not None
    return dict(map(tuple, written)) | dict(tables)


async def _rows(connection: "asyncpg.Connection[asyncpg.Record]", table: str) -> bytes:
    """A table's rows, as COPY has them."""
    rows = io.BytesIO()
    await connection.copy_from_table(table, output=rows)
    return rows.getvalue()


async def _sequences(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[int, int]:
    """By its oid, which copies have, too: the last number that a sequence has given."""
    return dict(map(tuple, await connection.fetch(_SEQUENCES)))


async def make_template(server: str, name: str) -> None:
    """A database with every migration applied and the services' roles; nobody may stay connected to it."""
    await execute(server, f'CREATE DATABASE "{name}"')
    await make_roles(server)
    await migrate(on_database(server, name))


def on_database(dsn: str, database: str) -> str:
    """The DSN with another database name."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
