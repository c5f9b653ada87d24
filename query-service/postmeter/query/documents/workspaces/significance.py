"""Whether one rate is higher than others by more than chance, and how sure a rate is (semantics.md, `compare`).

Counts stay exact until the one step that has no exact value: the normal distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

LEVEL = 0.05
"""A p-value below it is significant."""
_QUANTILE = Decimal("1.959963984540054235524594430520551527955550")
"""Of the standard normal distribution at 97.5 %."""
_PRECISION = 50


@dataclass(frozen=True)
class Sample:
    """How often something happened, out of how many trials.

    Counted by the time of happening, a window can hold the open of a message that was delivered before it, and so
    more successes than trials; for the test and the interval every trial has succeeded then.
    """

    successes: int
    trials: int

    @property
    def rate(self) -> Fraction:
        """successes / trials; there must be trials."""
        return Fraction(self.successes, self.trials)

    @property
    def bounded(self) -> int:
        """Successes, at most one for each trial."""
        return min(self.successes, self.trials)


def p_value(a: Sample, b: Sample) -> float:
    """Two-sided, of the pooled two-proportion z-test. 1 where all or no trials succeeded. Both need trials."""
    pooled = Fraction(a.bounded + b.bounded, a.trials + b.trials)
    variance = pooled * (1 - pooled) * (Fraction(1, a.trials) + Fraction(1, b.trials))
    if variance == 0:
        return 1.0
    difference = Fraction(a.bounded, a.trials) - Fraction(b.bounded, b.trials)
    # P(|Z| > z) = erfc(z / sqrt 2); erfc keeps its precision where the probability is tiny.
    return math.erfc(math.sqrt(difference**2 / variance / 2))


def largest_by_holm(p_values: Sequence[float]) -> float:
    """The largest of the p-values after Holm's correction for their number. There must be one."""
    count = len(p_values)
    return min(1.0, max((count - place) * p for place, p in enumerate(sorted(p_values))))


def wilson(sample: Sample) -> tuple[Decimal, Decimal]:
    """The 95 % Wilson score interval of the rate, from 0 to 1. There must be trials."""
    with localcontext(prec=_PRECISION):
        trials, squared = Decimal(sample.trials), _QUANTILE**2
        rate = sample.bounded / trials
        middle = rate + squared / (2 * trials)
        spread = _QUANTILE * (rate * (1 - rate) / trials + squared / (4 * trials**2)).sqrt()
        whole = 1 + squared / trials
        return max((middle - spread) / whole, Decimal(0)), min((middle + spread) / whole, Decimal(1))
