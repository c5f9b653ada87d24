"""`health_score` (SEMANTICS.md): 0 to 100 per UTC day, over that day and the six before. Exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

METRICS = ("sent", "delivered", "hard_bounced", "complained", "unique_unsubscribed")
"""What a day's score needs, in the order of Day's fields."""
WEEK = 7
DAYS_BEFORE = 2 * WEEK - 1
"""Days before the first scored one that are looked at: the rest of its week, and the week before that."""


@dataclass(frozen=True)
class Day:
    """Counts of one UTC day, or of several together."""

    sent: int
    delivered: int
    hard_bounced: int
    complained: int
    unsubscribed: int


def trend(days: Sequence[Day]) -> list[int]:
    """The score of each day but the first DAYS_BEFORE. days: one after the other, none left out."""
    return [
        score(
            _sum(days[last - WEEK + 1 : last + 1]), sum(day.sent for day in days[last - 2 * WEEK + 1 : last - WEEK + 1])
        )
        for last in range(DAYS_BEFORE, len(days))
    ]


def score(week: Day, sent_before: int) -> int:
    """The score of a week; sent_before: what was sent in the week before it. Rounded half-up."""
    if week.sent == 0:
        return 100
    drop = 1 - Fraction(week.sent, sent_before) if sent_before else Fraction(0)
    penalty = (
        _rising(Fraction(week.hard_bounced, week.sent), Fraction(2, 100), Fraction(10, 100)) * 35
        + _rising(_share(week.complained, week.delivered), Fraction(1, 1000), Fraction(5, 1000)) * 35
        + _rising(_share(week.unsubscribed, week.delivered), Fraction(1, 100), Fraction(5, 100)) * 15
        + _rising(drop, Fraction(50, 100), Fraction(1)) * 15
    )
    return (100 - penalty + Fraction(1, 2)).__floor__()


def _rising(value: Fraction, low: Fraction, high: Fraction) -> Fraction:
    """0 up to `low`, then linearly to 1 at `high`."""
    return min(max((value - low) / (high - low), Fraction(0)), Fraction(1))


def _share(part: int, whole: int) -> Fraction:
    return Fraction(part, whole) if whole else Fraction(0)


def _sum(days: Sequence[Day]) -> Day:
    return Day(
        sent=sum(day.sent for day in days),
        delivered=sum(day.delivered for day in days),
        hard_bounced=sum(day.hard_bounced for day in days),
        complained=sum(day.complained for day in days),
        unsubscribed=sum(day.unsubscribed for day in days),
    )
