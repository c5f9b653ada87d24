"""What the tests of Workspaces' reports share: the moment they are read at, and rates as a person works them out."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

NOW = datetime(2025, 11, 26, 10, 20, 30, tzinfo=UTC)
FIRST = datetime(2025, 10, 27, tzinfo=UTC)
TOMORROW = datetime(2025, 11, 27, tzinfo=UTC)
DAY = timedelta(days=1)


def percent(part: Fraction | int, whole: int, places: str = "0.01") -> float:
    """A rate as a person would work it out."""
    if whole == 0:
        return 0.0
    exact = 100 * Fraction(part) / whole
    fine = Decimal(exact.numerator * 10**12 // exact.denominator).scaleb(-12)
    return float(fine.quantize(Decimal(places), ROUND_HALF_UP))
