"""Days that do not change any more are summed up by each dimension, so that a question reads few rows (ADR 0063).

Which days these are, and whether one has changed, is kept by a trigger, whoever changes it (0035_day_sums.sql). Nobody
waits for this job, nor it for a lock: a day is marked first, and summed up when all transactions that have not seen the
mark are over. Whoever changes it afterwards takes the mark away with the change, and the sums are not used.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import datetime

import asyncpg

from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.shared.storage import partitions
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.rollups import COUNTERS, LINK_COUNTERS, LINK_SUMS, SUMMED_BY, SUMS, DayState, Tier
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.aggregator.upkeep", "day_sums.sql")
LOCK = 0x706F73746D646179
SECONDS = 60.0
"""Between two looks while no day is due."""
MOST = 20
"""Days of one round."""
FEWEST = 50
"""How many series a day needs for its sums to be worth it."""
FENCE_SECONDS = 10.0
FENCE_STEP = 0.05
_PARTITIONED = [partitions.Partitioned(tier.table, "month", "time") for tier in (*SUMS.values(), *LINK_SUMS.values())]
_TAGS = "CASE series.tags WHEN '{}' THEN '{\"\"}' ELSE series.tags END"
_VALUES = " UNION ALL ".join(
    f"SELECT {number}, {f'unnest({_TAGS})' if name == 'tag' else f'series.{name}'}"
    for number, name in enumerate(SUMMED_BY, 1)
)
_DIMENSIONS = f" AND dimension = ANY ('{{{', '.join(map(str, range(1, 1 + len(SUMMED_BY))))}}}')"
_FORGET = [
    *(_QUERIES["forget"].format(table=tier.table, dimensions=_DIMENSIONS) for tier in SUMS.values()),
    *(_QUERIES["forget"].format(table=tier.table, dimensions="") for tier in LINK_SUMS.values()),
]


def _sum_up_by(query: str, sums: dict[str, Tier], counters: tuple[str, ...], **names: str) -> list[str]:
    return [
        _QUERIES[query].format(
            table=tier.table,
            finer=finer,
            columns=", ".join(counters),
            sums=", ".join(f"nullif(sum(counted.{name}), 0)" for name in counters),
            **names,
        )
        for finer, tier in sums.items()
    ]


_SUM_UP = [
    *_sum_up_by("sum_up", SUMS, COUNTERS, values=_VALUES),
    *_sum_up_by("sum_up_links", LINK_SUMS, LINK_COUNTERS),
]


class _Changed(Exception):
    """The day has changed meanwhile: its sums are not written."""


async def run(pool: Pool, stop: asyncio.Event) -> None:
    """Sum up what is due until `stop` is set; of many aggregators one does it."""
    trouble = TroubleLog()
    while not stop.is_set():
        pause = SECONDS
        try:
            async with pool.acquire() as connection:
                began = time.monotonic()
                if await once(connection):
                    # There may be more; what else is to be done has as long for itself.
                    pause = time.monotonic() - began
            trouble.over("days summed up after all")
        except Exception as error:
            trouble.failed("days are not summed up, trying again", error)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


async def once(connection: Connection, fewest: int = FEWEST) -> int:
    """Sum up MOST days that are due; how many were looked at. Does nothing while another aggregator is at it.

    Raises the first error of a day when the others are done.
    fewest: series that a day needs to have.
    """
    if not await connection.fetchval(_QUERIES["try_lock"], LOCK):
        return 0
    try:
        days = await connection.fetch(_QUERIES["mark"], MOST)
        if not days or not await _all_have_seen(connection):
            return 0
        for month in sorted({row["month"] for row in days}):
            for table in _PARTITIONED:
                await partitions.ensure(connection, table, month, month)
        failed: asyncpg.PostgresError | None = None
        for workspace, day, _ in sorted(tuple(row) for row in days):
            try:
                with suppress(_Changed):
                    await _sum_up(connection, workspace, day, fewest)
            except asyncpg.PostgresError as error:
                # It is due again in an hour; the others do not wait for it.
                failed = failed or error
        if failed is not None:
            raise failed
        return len(days)
    finally:
        await connection.execute(_QUERIES["unlock"], LOCK)


async def _all_have_seen(connection: Connection) -> bool:
    """Wait for all transactions that may not see what is committed now; False where one takes too long."""
    fence: int = await connection.fetchval(_QUERIES["fence"])
    deadline = time.monotonic() + FENCE_SECONDS
    while not await connection.fetchval(_QUERIES["is_behind"], fence):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(FENCE_STEP)
    return True


async def _sum_up(connection: Connection, workspace: int, day: datetime, fewest: int) -> None:
    """All sums of a day and its new state, or nothing. Raises _Changed."""
    async with connection.transaction():
        for statement in _FORGET:
            await connection.execute(statement, workspace, day)
        state = DayState.FEW
        if await connection.fetchval(_QUERIES["series_of"], workspace, day, fewest) >= fewest:
            state = DayState.SUMMED
            for statement in _SUM_UP:
                await connection.execute(statement, workspace, day)
        if not await connection.fetchval(_QUERIES["settle"], workspace, day, state):
            raise _Changed
