"""How far the tables reach: where a time counts, and which tables still keep it."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.shared.storage import partitions


def first_kept(today: date, months: int) -> date:
    """The first day of the oldest partition that is made and kept."""
    return partitions.add_months(today, -min(months, partitions.MONTHS_BACK))


class Horizon:
    """The bounds of one moment. `low` and `high`: an event's own time counts in [low, high).

    oldest: by table, the first microsecond that it keeps; older rows are not written to it. leaving: the tables of
    Rollup.leaving that are there.
    """

    def __init__(self, months: dict[str, int], now: int | None = None, leaving: frozenset[str] = frozenset()) -> None:
        self.now = time.time_ns() // 1000 if now is None else now
        self.leaving = leaving
        today = datetime.fromtimestamp(self.now / MICROSECONDS, UTC).date()
        self.low = _midnight(partitions.add_months(today, -partitions.MONTHS_BACK))
        self.high = _midnight(partitions.add_months(today, partitions.MONTHS_AHEAD))
        self.oldest = {table: _midnight(first_kept(today, kept)) for table, kept in months.items()}

    def place(self, at: int, received: int) -> int:
        """The time at which something counts that happened out of range: when it was received, or now."""
        if self.low <= at < self.high:
            return at
        return received if self.low <= received < self.high else self.now


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MICROSECONDS
