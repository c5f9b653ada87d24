"""The statistics of Workspaces' comparison, against independent computations of the same and by their own laws."""

import math
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.query.documents.workspaces.significance import Sample, largest_by_holm, p_value, wilson

NORMAL = NormalDist()


@st.composite
def samples(draw: st.DrawFn, most: int = 5000) -> Sample:
    trials = draw(st.integers(1, most))
    return Sample(draw(st.integers(0, trials)), trials)


def by_the_textbook(a: Sample, b: Sample) -> float:
    """The pooled two-proportion z-test as a statistics book has it, in floats."""
    p1, p2 = a.successes / a.trials, b.successes / b.trials
    p = (a.successes + b.successes) / (a.trials + b.trials)
    error = math.sqrt(p * (1 - p) * (1 / a.trials + 1 / b.trials))
    return 1.0 if error == 0 else 2 * (1 - NORMAL.cdf(abs(p1 - p2) / error))


@given(samples(), samples())
def test_the_p_value_is_the_textbook_s(a: Sample, b: Sample) -> None:
    assert p_value(a, b) == pytest.approx(by_the_textbook(a, b), abs=1e-9)


def test_a_p_value_by_hand() -> None:
    # 0.08 / sqrt(0.23 * 0.77 * 0.02) = 1.3442
    assert p_value(Sample(27, 100), Sample(19, 100)) == pytest.approx(0.1789, abs=1e-4)


@given(samples(), samples())
def test_it_does_not_matter_which_of_two_is_named_first(a: Sample, b: Sample) -> None:
    assert p_value(a, b) == p_value(b, a)


@given(samples(), samples())
def test_successes_and_failures_may_be_exchanged(a: Sample, b: Sample) -> None:
    mirrored = [Sample(each.trials - each.successes, each.trials) for each in (a, b)]
    assert p_value(*mirrored) == p_value(a, b)


@given(samples())
def test_equal_rates_differ_by_nothing(a: Sample) -> None:
    assert p_value(a, Sample(3 * a.successes, 3 * a.trials)) == 1


@given(samples(), samples(), st.integers(2, 50))
def test_more_of_the_same_is_never_less_significant(a: Sample, b: Sample, times: int) -> None:
    more = [Sample(times * each.successes, times * each.trials) for each in (a, b)]
    assert p_value(*more) <= p_value(a, b)


@given(samples(most=300), st.data())
def test_a_larger_difference_is_more_significant(low: Sample, data: st.DataObject) -> None:
    trials = data.draw(st.integers(1, 300))
    first = math.ceil(low.rate * trials)
    near = data.draw(st.integers(first, trials))
    far = data.draw(st.integers(near, trials))
    assert p_value(Sample(far, trials), low) <= p_value(Sample(near, trials), low) * (1 + 1e-12)


def test_tiny_probabilities_do_not_vanish() -> None:
    assert 0 < p_value(Sample(900, 1000), Sample(500, 1000)) < 1e-50


def adjusted(p_values: list[float]) -> list[float]:
    """Holm's step-down procedure, each p-value's adjusted one."""
    found: list[float] = []
    for rank, p in enumerate(sorted(p_values)):
        found.append(max([*found[-1:], min(1.0, p * (len(p_values) - rank))]))
    return found


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_largest_by_holm_is_the_last_of_its_steps(p_values: list[float]) -> None:
    assert largest_by_holm(p_values) == max(adjusted(p_values))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_correction_never_makes_anything_more_significant(p_values: list[float]) -> None:
    assert max(p_values) <= largest_by_holm(p_values) <= min(1.0, len(p_values) * max(p_values))


def test_a_single_comparison_is_not_corrected() -> None:
    assert largest_by_holm([0.03]) == 0.03
    assert largest_by_holm([0.01, 0.03]) == 0.03
    assert largest_by_holm([0.02, 0.03]) == 0.04


@given(samples())
def test_both_ends_of_the_interval_solve_wilson_s_equation(a: Sample) -> None:
    # The bounds are the rates p at which the observed rate lies z standard errors away.
    squared = Fraction(NORMAL.inv_cdf(0.975)) ** 2
    for bound in map(Fraction, wilson(a)):
        if min(bound, 1 - bound) > Fraction(1, 10**40):  # at 0 and 1 the equation says 0 / 0
            assert float((a.rate - bound) ** 2 / (bound * (1 - bound) / a.trials)) == pytest.approx(float(squared))


@given(samples())
def test_an_interval_holds_its_rate_and_stays_between_0_and_1(a: Sample) -> None:
    lower, upper = wilson(a)
    slack = Fraction(1, 10**40)
    assert 0 <= lower < upper <= 1
    assert Fraction(lower) - slack <= a.rate <= Fraction(upper) + slack


@given(samples(), st.integers(2, 50))
def test_more_of_the_same_narrows_the_interval(a: Sample, times: int) -> None:
    (low, high), (more_low, more_high) = wilson(a), wilson(Sample(times * a.successes, times * a.trials))
    assert more_high - more_low < high - low


def test_an_interval_by_hand() -> None:
    # (0.5 + z²/20 ± z sqrt(0.025 + z²/400)) / (1 + z²/10) with z² = 3.8415
    lower, upper = wilson(Sample(5, 10))
    assert (round(lower, 4), round(upper, 4)) == (Decimal("0.2366"), Decimal("0.7634"))


def test_a_window_that_holds_more_opens_than_deliveries_is_one_where_all_were_opened() -> None:
    assert p_value(Sample(15, 10), Sample(5, 10)) == p_value(Sample(10, 10), Sample(5, 10))
    assert wilson(Sample(15, 10)) == wilson(Sample(10, 10))
