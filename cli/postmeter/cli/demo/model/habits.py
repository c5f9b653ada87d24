"""When somebody reads: the hours of the day and the days of the week, by their own clock."""

from __future__ import annotations

import random

from postmeter.cli.demo.model.audience import Person
from postmeter.cli.demo.model.moments import DAY, HOUR, MINUTE, offset

_AT_ONCE = 0.2
"""How many read a mail because their phone announced it."""
_READ_DAYS = 5
_SUNDAY, _SATURDAY = 6, 5
_EPOCH_WEEKDAY = 3
"""1970 began on a Thursday."""


def read_at(noise: random.Random, person: Person, delivered: int, urgent: bool) -> int:
    """The moment at which somebody first reads a mail. urgent: it was waited for, such as a new password."""
    if urgent:
        return delivered + round(noise.expovariate(1 / (6 * MINUTE))) + 4000
    away = offset(person.zone, delivered)
    local = delivered + away
    hour = local % DAY / HOUR
    if 7 <= hour < 22 and noise.random() < _AT_ONCE:
        return delivered + round(noise.expovariate(1 / (14 * MINUTE))) + 5000
    midnight = local - local % DAY
    found = local + HOUR
    for day in range(_READ_DAYS):
        start = midnight + day * DAY
        wakes = 0.6 * (person.weekends if _is_weekend(start) else 1.0)
        for peak in person.hours:
            at = start + round((peak + noise.gauss(0, 0.7)) * HOUR)
            if at <= local + MINUTE:
                continue
            found = at
            if noise.random() < wakes:
                return at - away
    return found - away


def _is_weekend(midnight: int) -> bool:
    return (midnight // DAY + _EPOCH_WEEKDAY) % 7 in (_SATURDAY, _SUNDAY)
