"""What the counting core is measured beside: nginx that records nothing, and COPY alone of the same history."""

import time
from collections.abc import Callable
from pathlib import Path

import asyncpg

from tests.bench.ingest import Run, load, nginx

COPIED = 5_000
"""Rows of a transaction."""


def nginx_alone(folder: Path, seconds: float) -> Run:
    """`empty_gif` on one core, asked by wrk on the other."""
    tokens = folder / "tokens"
    tokens.write_text("/o\n" * 100)
    with nginx(folder) as (port, pid):
        return load(port, pid, 64, seconds, tokens)[0]


async def copy_alone(dsn: str, postgres_seconds: Callable[[], float]) -> tuple[float, float]:
    """(microseconds of the client, of Postgres) a row, to store the history into a table with the same indexes.

    Nothing is asked and nothing is added up: what it costs to store the rows, at the least.
    """
    connection = await asyncpg.connect(dsn)
    rows = [tuple(row) for row in await connection.fetch("SELECT * FROM event LIMIT 200000")]
    columns = [
        row["column_name"]
        for row in await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'event' ORDER BY ordinal_position"
        )
    ]
    await connection.execute("CREATE TABLE copy_alone (LIKE event INCLUDING ALL); CHECKPOINT")
    used, ours = postgres_seconds(), time.process_time()
    for start in range(0, len(rows), COPIED):
        async with connection.transaction():
            await connection.copy_records_to_table("copy_alone", records=rows[start : start + COPIED], columns=columns)
    found = time.process_time() - ours, postgres_seconds() - used
    await connection.execute("DROP TABLE copy_alone")
    await connection.close()
    return found[0] * 1e6 / len(rows), found[1] * 1e6 / len(rows)
