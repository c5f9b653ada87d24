"""Rows of a list that fit into an answer: bounded by what their texts take, for a thousand rows may have a gigabyte."""

from __future__ import annotations

import asyncpg

from postmeter.shared.storage.postgres import Connection

AHEAD = 50
"""Rows that the database gives at once."""
ROOM = 2 << 20
"""Characters of a list's texts. A purchase may have 256 KB of items, an event a URL of 32 KB, and a change of privacy
names a thousand domains; two hundred events of one message always fit.
"""


async def rows(
    connection: Connection, sql: str, *arguments: object
) -> tuple[list[asyncpg.Record], asyncpg.Record | None]:
    """The rows of a statement, as many as there is room for, one at least; and the first for which there was none.

    Run in a transaction.
    """
    found: list[asyncpg.Record] = []
    room = ROOM
    async for row in connection.cursor(sql, *arguments, prefetch=AHEAD):
        room -= sum(len(value) for value in row.values() if isinstance(value, str | bytes))
        if room < 0 and found:
            return found, row
        found.append(row)
    return found, None
