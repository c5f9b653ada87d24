"""Rates, rounded half-up on exact integers: never on binary floats (semantics.md)."""

from __future__ import annotations

from decimal import Decimal


def percent(part: int, whole: int, decimals: int = 2) -> Decimal:
    """100 * part / whole with `decimals` places; 0 where `whole` is 0."""
    return fraction(100 * part, whole, decimals)


def fraction(part: int, whole: int, decimals: int = 4) -> Decimal:
    """part / whole with `decimals` places; 0 where `whole` is 0. Both are counts, so never negative."""
    if whole == 0:
        return Decimal(0)
    units = (2 * part * 10**decimals + whole) // (2 * whole)
    return Decimal(units).scaleb(-decimals)
