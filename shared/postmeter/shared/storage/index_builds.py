"""Indexes over tables that there are already: built before the migration that makes them, while everything goes on.

A migration's transaction has five minutes and holds its locks to its end. So each index that it makes is built
beforehand, CONCURRENTLY and outside any transaction, over the table or each of its partitions; the migration's own
CREATE INDEX then finds it there, and takes it. Which these are is read in the migration's text: nothing else is to be
done for an index but to write it there, for a table without partitions with IF NOT EXISTS (ADR 0057).

So is a table filled that is derived from another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.shared.storage", "index_builds.sql")
_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX (IF NOT EXISTS )?(\w+) ON (\w+)(\W.*)", re.DOTALL)
FIRST = "0012"
"""The migration from which on it is so; those of before make their indexes themselves."""
AFTER_SUBJECTS = "0023_subject_index.sql"
"""The migration before which the subjects of all messages are noted; a new message notes its own."""
MOST_SUBJECTS = 50_000
"""Of one workspace; the trigger of 0022_subjects.sql has the same number."""


def made(sql: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Of each index that a migration makes: whether it is unique, may be there, its name, its table, and the rest."""
    text = "\n".join(line for line in sql.split("\n") if not line.startswith("--"))
    for statement in text.split(";"):
        if found := _INDEX.fullmatch(statement.strip()):
            unique, optional, index, table, rest = found.groups("")
            yield unique, optional, index, table, rest


async def before(connection: Connection, migration: str, sql: str) -> None:
    """Build what the migration's text will want. Begun again where it was cut off; what an error has left is made anew.

    Takes as long as it takes, and waits for transactions that are older than itself.
    """
    for unique, optional, index, table, rest in made(sql) if migration >= FIRST else ():
        for row in await connection.fetch(_QUERIES["tables"], table, index, bool(optional)):
            names = {"unique": unique, "index": row["index"], "table": row["name"], "rest": rest}
            if row["is_broken"]:
                await connection.execute(_QUERIES["drop"].format(**names))
            await connection.execute(_QUERIES["build"].format(**names))
            await connection.execute(_QUERIES["look"].format(**names))
            if migration == AFTER_SUBJECTS:
                await connection.execute(_QUERIES["note_subjects"].format(partition=row["name"], most=MOST_SUBJECTS))
    if migration == AFTER_SUBJECTS:
        await connection.execute(_QUERIES["note_excess"].format(most=MOST_SUBJECTS))
