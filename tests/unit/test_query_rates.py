"""Rates against exact fractions."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.query import rates
from postmeter.shared.http.answers import json


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (23, 1542, "1.49"),  # the example of Vectis
        (187, 3891, "4.81"),
        (1, 800, "0.13"),  # 0.125 exactly: a float rounds it to 0.12
        (5, 1000, "0.50"),
        (201, 20000, "1.01"),  # 1.005 exactly: as a binary float a little less
        (0, 7, "0.00"),
        (7, 0, "0"),
        (0, 0, "0"),
        (3, 2, "150.00"),
        (2, 3, "66.67"),
    ],
)
def test_percentages_round_half_up(part: int, whole: int, expected: str) -> None:
    assert str(rates.percent(part, whole)) == expected


@given(st.integers(0, 10**18), st.integers(1, 10**18), st.integers(0, 6))
def test_a_rate_is_the_exact_fraction_rounded_half_up(part: int, whole: int, decimals: int) -> None:
    with localcontext() as context:
        context.prec = 200
        exact = Fraction(part, whole) * 10**decimals
        floor = exact.numerator // exact.denominator
        expected = floor + (1 if exact - floor >= Fraction(1, 2) else 0)
        assert rates.fraction(part, whole, decimals) == Decimal(expected).scaleb(-decimals)
        assert rates.percent(part, whole, decimals) == rates.fraction(100 * part, whole, decimals)


def test_a_rate_is_written_as_a_number() -> None:
    assert json({"rate": rates.percent(23, 1542), "none": rates.percent(1, 0)}).body == (b'{"rate":1.49,"none":0}')
    assert Decimal("0.125").quantize(Decimal("0.01"), ROUND_HALF_UP) == rates.fraction(1, 8, 2)
