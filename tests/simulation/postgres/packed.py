"""What COPY takes in its binary format, read as Postgres reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.moments import UNTIL_2000

_BEGINNING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_WIDTHS = {
    "workspace": 4,
    "message": 16,
    "at": 8,
    "type": 2,
    "kind": 2,
    "series": 8,
    "verdict": 2,
    "user_agent_id": 4,
    "network": 4,
    "link": 8,
}
_READ: dict[str, Callable[[bytes], Any]] = {"message": UUID, "at": lambda packed: _number(packed) + UNTIL_2000}


def rows(table: str, packed: bytes, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows. Raises AssertionError where Postgres would refuse them."""
    assert packed.startswith(_BEGINNING)
    assert packed.endswith(b"\xff\xff")
    place, found = len(_BEGINNING), []
    while place < len(packed) - 2:
        assert int.from_bytes(packed[place : place + 2], "big") == len(columns)
        place, row = place + 2, []
        for column in columns:
            width = int.from_bytes(packed[place : place + 4], "big")
            assert width == _WIDTHS[column], f"{column} of {table} has {width} bytes"
            row.append(_READ.get(column, _number)(packed[place + 4 : place + 4 + width]))
            place += 4 + width
        found.append(tuple(row))
    return found


def _number(packed: bytes) -> int:
    return int.from_bytes(packed, "big", signed=True)
