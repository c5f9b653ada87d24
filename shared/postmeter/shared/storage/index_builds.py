"""Indexes over tables that grow without bound: built before the migration that makes them, while everything goes on.

A migration's transaction has five minutes and holds its locks to its end. So what takes longer is built beforehand,
partition by partition and CONCURRENTLY; the migration's own CREATE INDEX then finds it in each partition, and takes it.
So is a table filled that is derived from another one.
"""

from __future__ import annotations

from typing import NamedTuple

from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.shared.storage", "index_builds.sql")


class Build(NamedTuple):
    """An index of a migration: of which partitioned table, over which columns. name: added to its partitions' names."""

    table: str
    name: str
    columns: str


OF_MIGRATIONS = {
    "0012_addressed.sql": Build("message", "recipient", "workspace, to_hash, created_at"),
    "0021_history_index.sql": Build("event", "place", "postmeter_place(workspace, message), postmeter_second(at)"),
    "0023_subject_index.sql": Build("message", "subject", "hashtextextended(subject, workspace)"),
}
AFTER_SUBJECTS = "0023_subject_index.sql"
"""The migration before which the subjects of all messages are noted; a new message notes its own."""
MOST_SUBJECTS = 50_000
"""Of one workspace; the trigger of 0022_subjects.sql has the same number."""


async def before(connection: Connection, migration: str) -> None:
    """Build what the migration will want. Begun again where it was cut off; what an error has left is made anew.

    Takes as long as it takes, and waits for transactions that are older than itself.
    """
    build = OF_MIGRATIONS.get(migration)
    if build is None:
        return
    for row in await connection.fetch(_QUERIES["filled_partitions"], build.table, build.name):
        names = {"index": row["index"], "partition": row["partition"], "columns": build.columns}
        if row["is_broken"]:
            await connection.execute(_QUERIES["drop"].format(**names))
        await connection.execute(_QUERIES["build"].format(**names))
        await connection.execute(_QUERIES["look"].format(**names))
        if migration == AFTER_SUBJECTS:
            await connection.execute(_QUERIES["note_subjects"].format(**names, most=MOST_SUBJECTS))
    if migration == AFTER_SUBJECTS:
        await connection.execute(_QUERIES["note_excess"].format(most=MOST_SUBJECTS))
