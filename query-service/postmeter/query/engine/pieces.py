"""Which rollup tier answers which piece of a range."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from postmeter.shared.rollups import Tier


@dataclass(frozen=True)
class Piece:
    """[start, end) of the range, to be read from `table`."""

    table: str
    start: datetime
    end: datetime


def split(tiers: tuple[Tier, ...], start: datetime, end: datetime, edges: list[datetime]) -> list[Piece]:
    """Cut [start, end) into the fewest pieces, each read from the coarsest tier that is exact for it.

    tiers: of one rollup, from fine to coarse; start and end lie on the finest one's buckets. edges: the
    instants inside the range where a bucket begins; no tier's bucket may reach across one. The middle comes
    from the coarsest tier they allow, what sticks out at both ends from finer ones.
    """
    inside = [edge.timestamp() for edge in edges if start < edge < end]
    usable = [tier for tier in tiers if not any(edge % tier.seconds for edge in inside)]
    return _split(usable, int(start.timestamp()), int(end.timestamp()))


def _split(tiers: list[Tier], start: int, end: int) -> list[Piece]:
    if start >= end:
        return []
    *finer, tier = tiers
    low, high = -(-start // tier.seconds) * tier.seconds, end // tier.seconds * tier.seconds
    if low >= high:
        return _split(finer, start, end)
    middle = Piece(tier.table, _instant(low), _instant(high))
    return [*_split(finer, start, low), middle, *_split(finer, high, end)]


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
