"""Bounces by normalised reason and UTC day (ADR 0011)."""

from __future__ import annotations

from dataclasses import dataclass, field

from postmeter.aggregator import bounces
from postmeter.aggregator.fold.deltas import width
from postmeter.shared.storage.rollups import REASONS

DAY = width(REASONS.tiers[0])


@dataclass
class BounceReasons:
    """What a flush adds: bounces by (workspace, day, series, reason). The reasons' sum is the day's bounces."""

    counts: dict[tuple[int, int, int, str], list[int]] = field(default_factory=dict)

    def add(self, workspace: int, at: int, series: int, text: str, bounce: int, n: int = 1) -> None:
        """`n` bounces that count at `at`, fewer where it is negative; `text` is what was said of them."""
        key = (workspace, at - at % DAY, series, bounces.normalise(text, bounce))
        self.counts.setdefault(key, [0])[0] += n
