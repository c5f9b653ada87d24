"""A connection knows Postgres' own types from another one, and asks for those of the database itself."""

import uuid
from datetime import UTC, datetime
from typing import Any

import asyncpg

from postmeter.shared.storage import known_types

VALUES: tuple[tuple[str, list[Any]], ...] = (
    ("int8[]", [1, None, -(2**63)]),
    ("uuid[]", [uuid.UUID(int=1)]),
    ("bytea[]", [b"\0", b""]),
    ("timestamptz[]", [datetime(2026, 2, 28, tzinfo=UTC)]),
)


async def asked(dsn: str, *, fresh: bool) -> int:
    """How often a new connection has asked what a type is, to read our values and rows of a table."""
    if fresh:
        known_types._known.clear()
    queries: list[str] = []
    connection = await asyncpg.connect(dsn, connection_class=known_types.Connection)
    connection.add_query_logger(lambda of: queries.append(of.query))
    for name, values in VALUES:
        assert await connection.fetchval(f"SELECT $1::{name}", values) == values
    rows = await connection.fetchval("SELECT array_agg(s ORDER BY s) FROM slot s WHERE slot < 2")
    assert [dict(row)["slot"] for row in rows] == [0, 1]
    await connection.close()
    return len([query for query in queries if "typeinfo_tree" in query])


async def test_types_of_every_database_are_asked_for_once(postgres_dsn: str) -> None:
    first, second = await asked(postgres_dsn, fresh=True), await asked(postgres_dsn, fresh=False)
    assert (first, second) == (len(VALUES) + 1, 1), "the table's own is asked for each time"
