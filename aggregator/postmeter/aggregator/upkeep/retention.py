"""Retention: partitions are made ahead and dropped when their time is over; so are old leftovers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

from postmeter.aggregator.fold.horizon import first_kept
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.store import user_agents
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.aggregator.upkeep.erasure.step import QUERIES as ERASURE_QUERIES
from postmeter.aggregator.upkeep.workspace_retention import WorkspaceRetention
from postmeter.shared.privacy import erasures
from postmeter.shared.process import logs
from postmeter.shared.storage import partitions
from postmeter.shared.storage.partitions import Partitioned
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.aggregator.upkeep", "retention.sql")

LOCK = 0x706F73746D657466
ROUND_SECONDS = 6 * 3600.0
RETRY_SECONDS = 60.0


async def run(pool: Pool, settings: AggregatorSettings, workspaces: WorkspaceRetention, stop: asyncio.Event) -> None:
    """Do the retention now and several times a day until `stop` is set; of many aggregators one does it."""
    trouble = TroubleLog()
    while not stop.is_set():
        pause = ROUND_SECONDS
        try:
            async with pool.acquire() as connection:
                await once(connection, settings, await _today(connection), workspaces)
            trouble.over("retention done after all")
        except Exception as error:
            trouble.failed("retention put off", error)
            pause = RETRY_SECONDS
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


async def _today(connection: Connection) -> date:
    """The earlier day of both clocks, so that one that is ahead, even by years, drops nothing."""
    theirs: date = await connection.fetchval(_QUERIES["today"])
    return min(theirs, datetime.now(UTC).date())


async def once(
    connection: Connection, settings: AggregatorSettings, today: date, workspaces: WorkspaceRetention | None = None
) -> list[str]:
    """Make what is needed from `today` on and drop what is over. Returns the tables dropped.

    Does nothing while another aggregator is at it. A table that is in use for long is left for the next time.
    """
    if not await connection.fetchval(_QUERIES["try_retention_lock"], LOCK):
        return []
    try:
        dropped: list[str] = []
        for table in partitions.TABLES:
            dropped += await _renew(connection, table, settings, today)
        oldest = partitions.add_months(today, -settings.months()["message"])
        await connection.execute(_QUERIES["drop_subjects"], oldest)
        await user_agents.drop_unused(connection, today, settings.retain_events)
        await connection.execute(_QUERIES["drop_waiting"], today - timedelta(days=settings.retain_waiting))
        await connection.execute(_QUERIES["drop_dead_letters"], today - timedelta(days=settings.retain_dead_letters))
        await connection.execute(ERASURE_QUERIES["drop_erased"], today - timedelta(days=erasures.KEPT_DAYS))
        if workspaces is not None:
            await workspaces.once(connection, today)
        return dropped
    finally:
        await connection.execute(_QUERIES["retention_unlock"], LOCK)


async def _renew(connection: Connection, table: Partitioned, settings: AggregatorSettings, today: date) -> list[str]:
    if table.width == "month":
        kept = settings.months()[table.table]
        oldest = partitions.add_months(today, -kept)
        start, last = first_kept(today, kept), partitions.add_months(today, partitions.MONTHS_AHEAD)
    else:
        oldest = start = today - timedelta(days=table.back)
        last = today + timedelta(days=partitions.DAYS_AHEAD)
    await partitions.ensure(connection, table, start, last)
    dropped: list[str] = []
    for row in await connection.fetch(_QUERIES["partitions_of"], table.table):
        if _is_over(row["relname"], table, oldest):
            await partitions.drop(connection, table, row["relname"])
            logs.get().info("partition dropped", table=row["relname"])
            dropped.append(row["relname"])
    return dropped


def _is_over(partition: str, table: Partitioned, oldest: date) -> bool:
    """Whether a partition ends before `oldest` begins. The default partition never does."""
    digits = partition.removeprefix(f"{table.table}_")
    if not digits.isdigit():
        return False
    day = datetime.strptime(digits, "%Y%m" if table.width == "month" else "%Y%m%d").replace(tzinfo=UTC).date()
    return partitions.end_of(table, day) <= oldest
