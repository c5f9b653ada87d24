"""Partitions: made before they are needed, dropped when their time is over.

Each partitioned table is declared here as data: how wide its partitions are and what they are keyed by.
A table keyed by message is cut by the time inside the UUIDv7; other UUIDs fall into its default partition. They are
made and dropped by functions of the owner's, for no service may make or drop tables (ADR 0029).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from postmeter.shared.storage import uuid7
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import LEAVING, ROLLUPS, SUM_TIERS
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.shared.storage", "partitions.sql")
MONTHS_BACK = 24
"""Events are kept from two years back on (docs/api/events.md), so their partitions reach that far."""
SECONDS_MONTHS = 4
"""Months that counts by the second are kept: Krafter's longest window of 90 days begins at any second."""
DEDUP_DAYS = 8
"""A batch or a key that comes again later than this would be counted again (ADR 0003)."""


@dataclass(frozen=True)
class Partitioned:
    """A table cut into `month`s or `day`s of its key (`time` or message `uuid`); `back`: past ones that are made."""

    table: str
    width: str
    key: str
    back: int = MONTHS_BACK


TABLES = (
    Partitioned("message", "month", "uuid"),
    Partitioned("engagement", "month", "uuid"),
    Partitioned("event", "month", "time"),
    *(
        Partitioned(tier.table, "month", "time", SECONDS_MONTHS if tier.seconds == 1 else MONTHS_BACK)
        for rollup in ROLLUPS
        for tier in rollup.tiers
    ),
    *(Partitioned(tier.table, "month", "time") for tier in (*SUM_TIERS, *LEAVING)),
    Partitioned("purchase", "month", "time"),
    Partitioned("custom_event", "month", "time"),
    Partitioned("dedup", "day", "time", DEDUP_DAYS),
)
MONTHS_AHEAD = 2
DAYS_AHEAD = 3


def add_months(day: date, months: int) -> date:
    """The first of the month `months` after `day`'s."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def name(table: Partitioned, start: date) -> str:
    """The partition's table name."""
    return f"{table.table}_{start:%Y%m}" if table.width == "month" else f"{table.table}_{start:%Y%m%d}"


def end_of(table: Partitioned, start: date) -> date:
    """The first day after the partition that starts on `start`."""
    return add_months(start, 1) if table.width == "month" else start + timedelta(days=1)


def _bound(table: Partitioned, day: date) -> str:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return str(uuid7.floor(int(midnight.timestamp() * 1000))) if table.key == "uuid" else midnight.isoformat()


async def ensure(connection: Connection, table: Partitioned, first: date, last: date) -> None:
    """Make the partitions that start from `first` on, `last` included, unless they are there, or the table itself is
    not. Either all that are missing are made or none. Rows of the default partition move into them.
    """
    starts = []
    while first <= last:
        starts.append(first)
        first = end_of(table, first)
    rows = await connection.fetch(_QUERIES["missing"], table.table, [name(table, start) for start in starts])
    if missing := {row["partition"] for row in rows}:
        wanted = [
            (name(table, start), _bound(table, start), _bound(table, end_of(table, start)))
            for start in starts
            if name(table, start) in missing
        ]
        await connection.execute(_QUERIES["make_all"], table.table, *map(list, zip(*wanted, strict=True)), _id(table))


async def _oldest(connection: Connection, table: Partitioned) -> date | None:
    """The first month that the table has."""
    found: date | None = await connection.fetchval(_QUERIES["oldest"], table.table)
    return found


async def leaving(connection: Connection) -> frozenset[str]:
    """The tables of Rollup.leaving that are there."""
    rows = await connection.fetch(_QUERIES["leaving"], [tier.table for tier in LEAVING])
    return frozenset(row["name"] for row in rows)


async def drop(connection: Connection, table: Partitioned, partition: str) -> None:
    """Drop a partition by its name; asyncpg's LockNotAvailableError passes where it is in use for two seconds."""
    await connection.execute("SELECT postmeter_drop_partition($1, $2)", table.table, partition)


def _id(table: Partitioned) -> str:
    if table.key != "uuid":
        return ""
    return "id" if table.table == "message" else "message"


async def install(connection: Connection) -> None:
    """Make the functions, or bring them up to date. Run by the owner."""
    schema = await connection.fetchval("SELECT quote_ident(current_schema())")
    for query in ("check", "make", "drop"):
        await connection.execute(_QUERIES[query].format(schema=schema))
    await connection.execute(_QUERIES["close"])


async def ensure_now(connection: Connection, today: date | None = None, *, dropped: bool = True) -> None:
    """Make every partition that an event accepted today can need, of the tables that are there.

    dropped: also months before the oldest that a table has, which retention may have dropped.
    """
    today = today or datetime.now(UTC).date()
    for table in TABLES:
        if table.width == "month":
            first = add_months(today, -table.back)
            if not dropped and (oldest := await _oldest(connection, table)) is not None:
                first = max(first, oldest)
            await ensure(connection, table, first, add_months(today, MONTHS_AHEAD))
        else:
            await ensure(connection, table, today - timedelta(days=table.back), today + timedelta(days=DAYS_AHEAD))
