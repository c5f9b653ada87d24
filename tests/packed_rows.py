"""Packed rows of the history and of first engagements: read, and made, by column."""

from struct import Struct
from typing import Any

from postmeter.aggregator.fold.moments import UNTIL_2000
from postmeter.aggregator.fold.rows import CLICK, CLICK_ROW, ENGAGEMENT, ENGAGEMENT_ROW
from postmeter.aggregator.fold.states import Key
from postmeter.shared.stream.events import Engagement


def click_of(row: bytes) -> dict[str, Any]:
    return values(CLICK, CLICK_ROW, row)


def engagement_of(row: bytes) -> dict[str, Any]:
    return values(ENGAGEMENT, ENGAGEMENT_ROW, row)


def engagement(key: Key, kind: Engagement, at: int, series: int) -> bytes:
    workspace, message = key
    return ENGAGEMENT_ROW.pack(5, 4, workspace, 16, message, 2, kind, 8, at - UNTIL_2000, 8, series)


def values(columns: tuple[str, ...], row: Struct, packed: bytes) -> dict[str, Any]:
    """What a row says, by column; times since 1970."""
    number, *parts = row.unpack(packed)
    assert number == len(columns)
    values = dict(zip(columns, parts[1::2], strict=True))
    return values | {"at": values["at"] + UNTIL_2000}
