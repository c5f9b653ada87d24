"""What COPY takes in its binary format, read as Postgres reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.moments import UNTIL_2000

_BEGINNING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_WIDTHS: dict[int, tuple[str, ...]] = {
    2: ("type", "kind", "verdict", "flags"),
    4: ("workspace", "user_agent_id", "network", "links"),
}
_WIDTHS |= {8: ("at", "created_at", "series", "link"), 16: ("message", "id")}
_WIDTH = {column: width for width, columns in _WIDTHS.items() for column in columns}


def rows(packed: bytes, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows. Raises AssertionError where Postgres would refuse them."""
    assert packed.startswith(_BEGINNING)
    assert packed.endswith(_END)
    place, found = len(_BEGINNING), []
    while place < len(packed) - len(_END):
        assert int.from_bytes(packed[place : place + 2], "big") == len(columns)
        place, row = place + 2, []
        for column in columns:
            width = _number(packed[place : place + 4])
            value = packed[place + 4 : place + 4 + max(width, 0)]
            assert width == _WIDTH.get(column, width), f"{column} has {width} bytes"
            row.append(None if width < 0 else _read(column)(value))
            place += 4 + len(value)
        found.append(tuple(row))
    return found


def _read(column: str) -> Callable[[bytes], Any]:
    if column in ("message", "id"):
        return UUID
    if column in ("at", "created_at"):
        return lambda packed: _number(packed) + UNTIL_2000
    if column == "tags":
        return _texts
    if column == "to_digest":
        return bytes
    return _number if column in _WIDTH else bytes.decode


def _texts(packed: bytes) -> list[str]:
    length, place, found = _number(packed[12:16]) if packed[:4] != bytes(4) else 0, 20, []
    for _ in range(length):
        width = _number(packed[place : place + 4])
        found.append(packed[place + 4 : place + 4 + width].decode())
        place += 4 + width
    assert place == max(len(packed), 20)
    return found


def _number(packed: bytes) -> int:
    return int.from_bytes(packed, "big", signed=True)
