"""Rows in the binary format of COPY, packed many at a time: a quarter of what each value by itself costs.

Only shapes of rows without nulls are packed. In each row stands the number of its columns, then each value behind its
length in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

from postmeter.aggregator.fold.changes import Plain
from postmeter.aggregator.fold.moments import UNTIL_2000
from postmeter.shared.storage.postgres import Connection

_BEGINNING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"

OPEN = ("workspace", "message", "at", "type", "series", "verdict", "user_agent_id", "network")
CLICK = (*OPEN, "link")
ENGAGEMENT = ("workspace", "message", "kind", "at", "series")
"""Columns of packed rows."""
_OPEN = Struct(">h ii i16s iq ih iq ih ii ii")
_CLICK = Struct(">h ii i16s iq ih iq ih ii ii iq")
_ENGAGEMENT = Struct(">h ii i16s ih iq iq")


def opens(rows: Iterable[Plain]) -> list[bytes]:
    """Rows of the history: plain ones without a link."""
    pack, since = _OPEN.pack, UNTIL_2000
    return [
        pack(8, 4, workspace, 16, message, 8, at - since, 2, kind, 8, series, 2, verdict, 4, agent, 4, network)
        for workspace, message, at, kind, series, verdict, agent, network, _ in rows
    ]


def clicks(rows: Iterable[Plain]) -> list[bytes]:
    """Rows of the history: plain ones with a link."""
    pack, since = _CLICK.pack, UNTIL_2000
    return [
        pack(9, 4, workspace, 16, message, 8, at - since, 2, kind, 8, series, 2, verdict, 4, agent, 4, network, 8, link)
        for workspace, message, at, kind, series, verdict, agent, network, link in rows
    ]


def engagements(rows: Iterable[tuple[int, bytes, int, int, int]]) -> list[bytes]:
    """First engagements (workspace, message, kind, at, series), in the order of their keys."""
    pack, since = _ENGAGEMENT.pack, UNTIL_2000
    # Numbers that are never negative and bytes, packed: they are in order where the keys are.
    return sorted(
        [
            pack(5, 4, workspace, 16, message, 2, kind, 8, at - since, 8, series)
            for workspace, message, kind, at, series in rows
        ]
    )


async def copy(connection: Connection, table: str, columns: Sequence[str], rows: list[bytes]) -> None:
    """Store packed rows of one shape, if there are any."""
    if rows:
        packed = bytearray().join((_BEGINNING, *rows, _END))  # not bytes, which asyncpg takes for a path
        await connection.copy_to_table(table, source=packed, format="binary", columns=columns)
