"""Bounces by normalised reason and UTC day (ADR 0011)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.shared import bounces
from postmeter.shared.postgres import Connection
from postmeter.shared.rollups import TOTAL
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.aggregator.store", "bounce_reasons.sql")
TABLE = "bounce_reason_1d"
DAY = 86_400 * MICROSECONDS


@dataclass
class BounceReasons:
    """What a flush adds: bounces by (workspace, day, series, reason). The reasons' sum is the day's bounces."""

    counts: Counter[tuple[int, int, int, str]] = field(default_factory=Counter)

    def add(self, workspace: int, at: int, series: int, text: str, bounce: int, n: int = 1) -> None:
        """`n` bounces that count at `at`, fewer where it is negative; `text` is what was said of them."""
        reason, day = bounces.normalise(text, bounce), at - at % DAY
        for one in (series, TOTAL):
            self.counts[workspace, day, one, reason] += n


async def write(connection: Connection, reasons: BounceReasons, horizon: Horizon) -> None:
    """Add to the table what it keeps, inside the caller's transaction."""
    oldest = horizon.oldest[TABLE]
    rows = [(*key, n) for key, n in reasons.counts.items() if oldest <= key[1] < horizon.high]
    if rows:
        await connection.execute(_QUERIES["add_bounce_reasons"], *zip(*rows, strict=True))
