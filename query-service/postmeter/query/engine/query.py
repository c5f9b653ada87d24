"""The typed query that every document is turned into."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any, NamedTuple

from postmeter.query.engine.vocabulary import DIMENSIONS, OF_ROLLUP, metrics_of
from postmeter.shared.auth.principal import Principal
from postmeter.shared.storage.rollups import ACTIVITY, Rollup

QUARTER = 900
"""Seconds of the finest bucket; every civil zone is a multiple of it away from UTC."""
MAX_ROWS = 20_000
"""Buckets x groups of one answer; keeps the memory of a query bounded."""
MAX_TEXT = 8 << 20
"""Bytes of the groups' names in all rows of one answer: a link may have 8 KB."""


class Resolution(StrEnum):
    """How wide a bucket is, in the query's own time zone. Weeks begin on Monday."""

    TOTAL = "total"
    QUARTER_HOUR = "quarter_hour"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Scope:
    """What a caller may see: one workspace, and of it only `domains` unless that is None."""

    workspace: int
    domains: tuple[str, ...] | None

    @classmethod
    def of(cls, principal: Principal) -> Scope:
        """What the principal is confined to; all of its workspace where it is not."""
        return cls(principal.workspace, principal.confined_to)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Metrics of a scope over [start, end), by dimension and bucket.

    rollup: what is counted, and by which time. start, end: instants on the rollup's finest buckets. filters:
    dimension to the values that it may have. zone: decides where days begin. The dimension `link` needs the
    rollup LINKS, `currency` CONVERSIONS. Groups without any activity in the range have no rows. now: when it is
    asked, which decides what is read, never what is answered.
    """

    scope: Scope
    metrics: tuple[str, ...]
    start: datetime
    end: datetime
    dimensions: tuple[str, ...] = ()
    filters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    zone: tzinfo = UTC
    resolution: Resolution = Resolution.TOTAL
    rollup: Rollup = ACTIVITY
    now: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)

    def __post_init__(self) -> None:
        # What a caller types is checked at the boundary, with an error that names the field; these are
        # the invariants that keep anything but known columns out of the SQL.
        named = {*self.dimensions, *self.filters}
        unknown = {*self.metrics} - metrics_of(self.rollup).keys() | named - DIMENSIONS.keys()
        unknown |= {name for name in named if OF_ROLLUP.get(name, self.rollup) is not self.rollup}
        if unknown or not self.metrics or self.start > self.end:
            raise ValueError(f"not a query: {sorted(unknown)}")
        if any(instant.timestamp() % self.rollup.tiers[0].seconds for instant in (self.start, self.end)):
            raise ValueError("the range does not lie on the rollup's buckets")


class First(NamedTuple):
    """The first `limit` rows in this order: dimensions and metrics, and whether the largest comes first."""

    order: tuple[tuple[str, bool], ...]
    limit: int


class Row(NamedTuple):
    """One group in one bucket. start: the bucket's first instant in the query's zone. values: int, revenue Decimal."""

    start: datetime
    keys: tuple[str, ...]
    values: tuple[Any, ...]
