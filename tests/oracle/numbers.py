"""Rates to the digit: exact fractions, rounded half-up once, at the end.

semantics.md: "All rounding is half-up on exact integers, never on binary floats. A zero denominator gives 0."
"""

from decimal import Decimal
from fractions import Fraction
from math import floor


def half_up(value: Fraction, decimals: int) -> Decimal:
    """The nearest number of that many decimals; of two equally near ones the higher."""
    return Decimal(floor(value * 10**decimals + Fraction(1, 2))).scaleb(-decimals)


def ratio(part: int, whole: int) -> Fraction:
    """part / whole; 0 where there is nothing to divide by."""
    return Fraction(part, whole) if whole else Fraction(0)


def percent(part: int, whole: int, decimals: int = 2) -> Decimal:
    """semantics.md, first table: Vectis and Workspaces print percent with 2 decimals (reasons: 1)."""
    return half_up(100 * ratio(part, whole), decimals)


def fraction(part: int, whole: int, decimals: int) -> Decimal:
    """semantics.md, first table: Optail prints fractions with 4 decimals, Misar with 3."""
    return half_up(ratio(part, whole), decimals)
