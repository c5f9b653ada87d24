"""`health_score` (semantics.md): 0 to 100 per UTC day, over that day and the six before. Exact fractions."""

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


@dataclass(frozen=True)
class Part:
    """One kind of trouble. rate: what is held against `none_at` and `full_at`; all three are fractions of 1."""

    name: str
    count: int
    of: int
    rate: Fraction
    none_at: Fraction
    full_at: Fraction
    weight: int

    @property
    def points(self) -> Fraction:
        """What it takes off: 0 up to `none_at`, then linearly more, up to `weight` at `full_at`."""
        risen = (self.rate - self.none_at) / (self.full_at - self.none_at)
        return min(max(risen, Fraction(0)), Fraction(1)) * self.weight


def last_parts(days: Sequence[Day]) -> tuple[Part, ...]:
    """What the score of the last day is made of. days: as for `trend`."""
    return parts(_sum(days[-WEEK:]), sum(day.sent for day in days[-2 * WEEK : -WEEK]))


def parts(week: Day, sent_before: int) -> tuple[Part, ...]:
    """What the score of a week is made of; sent_before: what was sent in the week before. Nothing sent: none."""
    if week.sent == 0:
        return ()
    taken, bounced, complained, gone = week.delivered, week.hard_bounced, week.complained, week.unsubscribed
    drop = max(1 - Fraction(week.sent, sent_before), Fraction(0)) if sent_before else Fraction(0)
    percent = Fraction(1, 100)
    return (
        Part("hard_bounces", bounced, week.sent, _share(bounced, week.sent), 2 * percent, 10 * percent, 35),
        Part("complaints", complained, taken, _share(complained, taken), percent / 10, percent / 2, 35),
        Part("unsubscribes", gone, taken, _share(gone, taken), percent, 5 * percent, 15),
        Part("volume", week.sent, sent_before, drop, 50 * percent, 100 * percent, 15),
    )


def score(week: Day, sent_before: int) -> int:
    """The score of a week; sent_before: what was sent in the week before it. Rounded half-up."""
    lost = sum((part.points for part in parts(week, sent_before)), Fraction(0))
    return (100 - lost + Fraction(1, 2)).__floor__()


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
