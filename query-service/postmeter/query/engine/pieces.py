"""Which rollup tier answers which piece of a range."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from postmeter.shared.rollups import TIERS


@dataclass(frozen=True)
class Piece:
    """[start, end) of the range, to be read from `table`."""

    table: str
    start: datetime
    end: datetime


def split(start: datetime, end: datetime, edges: list[datetime]) -> list[Piece]:
    """Cut [start, end) into the fewest pieces, each read from the coarsest tier that is exact for it.

    edges: the instants inside the range where a bucket begins; no tier's bucket may reach across one. The
    middle comes from the coarsest tier they allow, what sticks out at both ends from finer ones.
    """
    inside = [edge.timestamp() for edge in edges if start < edge < end]
    usable = [t for t in TIERS if not any(edge % t.seconds for edge in inside)]
    return _split(int(start.timestamp()), int(end.timestamp()), len(usable) - 1)


def _split(start: int, end: int, tier: int) -> list[Piece]:
    if start >= end:
        return []
    width = TIERS[tier].seconds
    low, high = -(-start // width) * width, end // width * width
    if low >= high:
        return _split(start, end, tier - 1)
    middle = Piece(TIERS[tier].table, _instant(low), _instant(high))
    return [*_split(start, low, tier - 1), middle, *_split(high, end, tier - 1)]


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
