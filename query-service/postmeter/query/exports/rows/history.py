"""The two large exports: messages as they are now, and the history of events.

Both are read in one snapshot (REPEATABLE READ): an export is what the database held at one moment, however long it
takes. Each statement reads one span of the window through a cursor, so that none of them is large.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from enum import IntEnum
from typing import Any

import asyncpg

from postmeter.query.exports.files.columns import Column, Kind, Row, chars, columns
from postmeter.query.exports.rows import volumes
from postmeter.query.exports.rows.source import AHEAD, BATCH, BATCH_CHARS, RowBatch, RowReading, RowSource
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import OTHER
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import BounceType, Engagement, EventType, State, Verdict

_QUERIES = Queries("postmeter.query.exports.rows", "history.sql")
Records = list["asyncpg.Record"]
Shape = Callable[[Connection, RowReading, Records], Awaitable[list[Row]]]

MESSAGE_TABLE = (
    *columns(Kind.TEXT, "message_id", "campaign_id", "from_address", "to_hash", "to_domain", "subject", "provider"),
    *columns(Kind.TEXT, "provider_account_id", "provider_message_id", "template", "mailbox_provider"),
    Column("tags", Kind.TEXTS),
    Column("state"),
    *columns(Kind.TIME, "created_at", "sent_at", "delivered_at"),
    *columns(Kind.TIME, "first_opened_at", "first_clicked_at", "first_replied_at", "unsubscribed_at"),
)
EVENT_TABLE = (
    Column("timestamp", Kind.TIME),
    Column("type"),
    *columns(Kind.TEXT, "message_id", "campaign_id", "from_address", "to_hash", "subject", "domain", "provider"),
    *columns(Kind.TEXT, "template", "mailbox_provider", "bounce_type", "reason", "verdict", "verdict_reason"),
    Column("counted", Kind.FLAG),
    *columns(Kind.TEXT, "url", "user_agent", "ip"),
    *columns(Kind.TIME, "received_at", "claimed_at"),
)


async def _messages(reading: RowReading) -> AsyncGenerator[RowBatch, None]:
    async with reading.pool.acquire() as connection, _snapshot(connection):
        # By their own campaign and by their series' domain: the same messages that the rollups count.
        campaigns = reading.order.campaign_ids or None
        series = None if reading.scope.domains is None else await _series(connection, reading, None)
        async for batch in _spans(connection, reading, "messages", _message_rows, campaigns, series):
            yield batch


async def _events(reading: RowReading) -> AsyncGenerator[RowBatch, None]:
    async with reading.pool.acquire() as connection, _snapshot(connection):
        campaigns = reading.order.campaign_ids or None
        whole = campaigns is None and reading.scope.domains is None
        series = None if whole else await _series(connection, reading, campaigns)
        async for batch in _spans(connection, reading, "events", _event_rows, series):
            yield batch


MESSAGES = RowSource(MESSAGE_TABLE, _messages)
EVENTS = RowSource(EVENT_TABLE, _events)


def _snapshot(connection: Connection) -> Any:
    return connection.transaction(isolation="repeatable_read", readonly=True)


async def _series(connection: Connection, reading: RowReading, campaigns: list[str] | None) -> list[int]:
    scope = reading.scope
    rows = await connection.fetch(_QUERIES["series"], scope.workspace, campaigns, scope.domains, OTHER)
    return [row["id"] for row in rows]


async def _spans(
    connection: Connection, reading: RowReading, query: str, shape: Shape, *filters: object
) -> AsyncGenerator[RowBatch, None]:
    """The rows of every span, in batches."""
    spans = await volumes.spans(reading.engine, reading.scope, reading.order)
    weight = sum(span.rows + 1 for span in spans)
    before = 0
    for span in spans:
        parameters = reading.scope.workspace, span.start, span.end, *filters
        records: Records = []
        read = size = 0
        async for record in connection.cursor(_QUERIES[query], *parameters, prefetch=AHEAD):
            records.append(record)
            size += chars(record.values())
            if len(records) == BATCH or size > BATCH_CHARS:
                read += len(records)
                rows = await shape(connection, reading, records)
                records, size = [], 0
                yield RowBatch(rows, (before + min(read, span.rows)) / weight)
        before += span.rows + 1
        yield RowBatch(await shape(connection, reading, records) if records else [], before / weight)


async def _message_rows(connection: Connection, reading: RowReading, records: Records) -> list[Row]:
    ids = [record["id"] for record in records]
    firsts = {
        (row["message"], row["kind"]): row["at"]
        for row in await connection.fetch(_QUERIES["engagements"], reading.scope.workspace, ids)
    }
    series = await _series_of(connection, reading, records)
    return [
        (
            str(record["id"]),
            *(record[name] for name in _MESSAGE_FIELDS),
            series[record["series"]]["mailbox_provider"] if record["series"] in series else None,
            record["tags"],
            _name(State, record["state"]),
            record["created_at"],
            record["sent_at"],
            record["delivered_at"],
            *(firsts.get((record["id"], kind)) for kind in Engagement),
        )
        for record in records
    ]


_MESSAGE_FIELDS = (
    "campaign",
    "from_address",
    "to_hash",
    "to_domain",
    "subject",
    "provider",
    "provider_account",
    "provider_message",
    "template",
)


async def _event_rows(connection: Connection, reading: RowReading, records: Records) -> list[Row]:
    workspace, campaigns = reading.scope.workspace, set(reading.order.campaign_ids)
    ids = list({record["message"] for record in records if record["message"] is not None})
    messages = {row["id"]: row for row in await connection.fetch(_QUERIES["event_messages"], workspace, ids)}
    series = await _series_of(connection, reading, records)
    rows = [_event_row(record, messages.get(record["message"]), series.get(record["series"])) for record in records]
    return [row for row in rows if not campaigns or row[3] in campaigns]


async def _series_of(connection: Connection, reading: RowReading, records: Records) -> dict[int, asyncpg.Record]:
    numbers = list({record["series"] for record in records})
    return {row["id"]: row for row in await connection.fetch(_QUERIES["series_of"], reading.scope.workspace, numbers)}


def _event_row(record: asyncpg.Record, message: asyncpg.Record | None, series: asyncpg.Record | None) -> Row:
    """message: None where it is inbound mail, or no longer kept."""
    of_message = (
        (None, None, None) if message is None else (message["from_address"], message["to_hash"], message["subject"])
    )
    campaign = message or series
    return (
        record["at"],
        _name(EventType, record["type"]),
        None if record["message"] is None else str(record["message"]),
        campaign["campaign"] if campaign is not None else None,
        *of_message,
        *((None,) * len(_SERIES_FIELDS) if series is None else (series[name] for name in _SERIES_FIELDS)),
        _name(BounceType, record["bounce"]),
        record["reason"],
        _name(Verdict, record["verdict"]),
        record["verdict_reason"],
        record["counted"],
        record["url"],
        record["user_agent"],
        record["ip"],
        record["received_at"],
        record["claimed_at"],
    )


_SERIES_FIELDS = ("domain", "provider", "template", "mailbox_provider")


def _name(kind: type[IntEnum], number: int | None) -> str | None:
    """A number's name in every API; a number that only a newer version knows is shown as it is."""
    if number is None:
        return None
    return _NAMES[kind].get(number, str(number))


_NAMES: dict[type[IntEnum], dict[int, str]] = {
    kind: {one.value: one.name.lower() for one in kind} for kind in (State, EventType, BounceType, Verdict)
}
