"""Level last_date: the day of a recipient's last open, for the hygiene of lists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.aggregator.fold.states import Key
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.aggregator.privacy", "last_opens.sql")


async def write(connection: Connection, opened: Mapping[Key, int]) -> None:
    """Note the day of the last open of messages' recipients. opened: each message's latest open, in microseconds."""
    if opened:
        rows = [(workspace, UUID(message), _day(at)) for (workspace, message), at in sorted(opened.items())]
        await connection.execute(_QUERIES["note"], *zip(*rows, strict=True))


def _day(at: int) -> date:
    return datetime.fromtimestamp(at // MICROSECONDS, UTC).date()
