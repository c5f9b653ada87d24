"""Which rollup tier answers which piece of a range.

Days of most zones do not begin at midnight UTC, where the rows of a day do. They are read as whole days all the same,
and what lies between each of their edges and the midnight nearest to it is moved from one bucket to the other: a few
hours of each day instead of all, which is exact because counters add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from postmeter.shared.storage.rollups import Tier

DAY = 86_400
RECENT = timedelta(days=28)
"""Hours are kept for the month before the present one at least, which may be as short."""
FEW = 2
"""With fewer inner edges it is not worth it."""


@dataclass(frozen=True)
class Piece:
    """[start, end) of the range, to be read from `table`."""

    table: str
    start: datetime
    end: datetime


class RestOfDay(NamedTuple):
    """What is left of the day that begins at `start`, in `table`, without these pieces of it."""

    table: str
    start: datetime
    without: list[Piece]


class EdgeMove(NamedTuple):
    """[start, end) lies between an edge and its midnight: it counts `sign` times in the bucket of that number (from 1),
    and minus `sign` times in the one before.
    """

    start: datetime
    end: datetime
    number: int
    sign: int


@dataclass(frozen=True)
class WholeDays:
    """Read the range by `anchors` in place of its inner edges; then move what is in `moved`, which `table` has."""

    anchors: list[datetime]
    moved: list[EdgeMove]
    table: str


def whole_days(tiers: tuple[Tier, ...], start: datetime, end: datetime, edges: list[datetime]) -> WholeDays | None:
    """How to read buckets that begin at `edges` by whole days; None where that is not less.

    edges: ascending, those inside the range. Nothing outside the range is read, so no group that is not in it turns up.
    """
    day = tiers[-1].seconds
    low, high = -(-start.timestamp() // day) * day, end.timestamp() // day * day
    instants = [edge.timestamp() for edge in edges]
    finer = [tier for tier in tiers[:-1] if not any(instant % tier.seconds for instant in instants)]
    if day != DAY or low >= high or len(edges) < FEW or not any(instant % day for instant in instants) or not finer:
        return None
    if any(later - earlier < day / 2 for earlier, later in pairwise(instants)):  # hours, and less
        return None
    # At noon the midnight before: the next day's edge may be an hour earlier, and is to have a midnight of its own.
    anchors = [min(max(-(-(instant - day / 2) // day) * day, low), high) for instant in instants]
    moved = [
        EdgeMove(_instant(min(edge, anchor)), _instant(max(edge, anchor)), number, 1 if anchor > edge else -1)
        for number, (edge, anchor) in enumerate(zip(instants, anchors, strict=True), 2)
        if edge != anchor
    ]
    return WholeDays([_instant(anchor) for anchor in anchors], moved, finer[-1].table)


def split(tiers: tuple[Tier, ...], start: datetime, end: datetime, edges: list[datetime]) -> list[Piece]:
    """Cut [start, end) into the fewest pieces, each read from the coarsest tier that is exact for it.

    tiers: of one rollup, from fine to coarse; start and end lie on the finest one's buckets. edges: the
    instants inside the range where a bucket begins; no tier's bucket may reach across one. The middle comes
    from the coarsest tier they allow, what sticks out at both ends from finer ones.
    """
    inside = [edge.timestamp() for edge in edges if start < edge < end]
    usable = [tier for tier in tiers if not any(edge % tier.seconds for edge in inside)]
    return _split(usable, int(start.timestamp()), int(end.timestamp()))


def last_day(
    tiers: tuple[Tier, ...], start: datetime, end: datetime, edges: list[datetime], now: datetime
) -> RestOfDay | None:
    """The last day of a range that ends inside of it, to be read whole but for what comes behind; None where that is
    not less, or where its hours may not be kept any more.

    Of today little has happened behind the range, if anything; but all of its hours, of every series, would be read.
    """
    day = tiers[-1].seconds
    low = end.timestamp() // day * day
    within = start.timestamp() <= low < end.timestamp()
    if day != DAY or not within or end < now - RECENT or any(edge.timestamp() % day for edge in edges):
        return None
    if end.timestamp() - low < day / 2 and end < now:
        return None
    return RestOfDay(tiers[-1].table, _instant(low), _split(list(tiers), int(end.timestamp()), int(low + day)))


def _split(tiers: list[Tier], start: int, end: int) -> list[Piece]:
    if start >= end:
        return []
    *finer, tier = tiers
    low, high = -(-start // tier.seconds) * tier.seconds, end // tier.seconds * tier.seconds
    if low >= high:
        return _split(finer, start, end)
    middle = Piece(tier.table, _instant(low), _instant(high))
    return [*_split(finer, start, low), middle, *_split(finer, high, end)]


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
