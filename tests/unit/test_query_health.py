"""`health_score`, against its sentence in semantics.md written down a second time, in decimals."""

from decimal import ROUND_FLOOR, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.query.documents.workspaces.health import DAYS_BEFORE, Day, score, trend

CLEAN = Day(1000, 1000, 0, 0, 0)


@pytest.mark.parametrize(
    ("week", "before", "expected"),
    [
        (CLEAN, 1000, 100),
        (Day(0, 0, 0, 0, 0), 1000, 100),  # nothing sent: not a drop
        (Day(0, 50, 9, 9, 9), 1000, 100),
        (Day(1000, 980, 20, 0, 0), 1000, 100),  # 2 % is where the penalty begins
        (Day(1000, 900, 60, 0, 0), 1000, 83),  # halfway, 17.5 points: 82.5 is rounded up
        (Day(1000, 900, 100, 0, 0), 1000, 65),
        (Day(1000, 0, 1000, 0, 0), 1000, 65),  # never more than the whole penalty
        (Day(10_000, 10_000, 0, 10, 0), 10_000, 100),
        (Day(10_000, 10_000, 0, 30, 0), 10_000, 83),
        (Day(10_000, 10_000, 0, 50, 0), 10_000, 65),
        (Day(10_000, 1_000, 0, 10, 0), 10_000, 65),  # out of what was delivered, not sent
        (Day(1000, 1000, 0, 0, 10), 1000, 100),
        (Day(1000, 1000, 0, 0, 30), 1000, 93),
        (Day(1000, 1000, 0, 0, 500), 1000, 85),
        (Day(1000, 0, 0, 9, 9), 1000, 100),  # nothing delivered: no rate
        (CLEAN, 2000, 100),  # half the mail of the week before
        (CLEAN, 4000, 93),
        (Day(1, 1, 0, 0, 0), 10**9, 85),
        (CLEAN, 0, 100),
        (Day(1000, 1000, 500, 500, 500), 10**9, 0),
    ],
)
def test_scores(week: Day, before: int, expected: int) -> None:
    assert score(week, before) == expected


def by_the_sentence(week: list[Day], before: list[Day]) -> int:
    def penalty(part: int, whole: int, low: str, high: str) -> Decimal:
        percent = Decimal(100 * part) / whole if whole else Decimal(0)
        return min(max((percent - Decimal(low)) * 100 / (Decimal(high) - Decimal(low)), Decimal(0)), Decimal(100))

    sent, earlier, delivered = (
        sum(d.sent for d in week),
        sum(d.sent for d in before),
        sum(d.delivered for d in week),
    )
    if not sent:
        return 100
    with localcontext(prec=60):
        lost = (
            Decimal("0.35") * penalty(sum(d.hard_bounced for d in week), sent, "2", "10")
            + Decimal("0.35") * penalty(sum(d.complained for d in week), delivered, "0.1", "0.5")
            + Decimal("0.15") * penalty(sum(d.unsubscribed for d in week), delivered, "1", "5")
            + Decimal("0.15") * penalty(max(earlier - sent, 0), earlier, "50", "100")
        )
        return int((100 - lost + Decimal("0.5")).quantize(Decimal("1e-40")).to_integral_value(ROUND_FLOOR))


counts = st.integers(0, 300)
days = st.builds(Day, st.integers(0, 3000), st.integers(0, 3000), counts, st.integers(0, 15), st.integers(0, 150))


@given(st.lists(days, min_size=DAYS_BEFORE, max_size=DAYS_BEFORE + 20))
def test_each_day_s_score_is_of_its_own_week(found: list[Day]) -> None:
    expected = [
        by_the_sentence(found[last - 6 : last + 1], found[last - 13 : last - 6]) for last in range(13, len(found))
    ]
    assert trend(found) == expected


@given(days, st.integers(0, 10_000))
def test_a_score_is_between_0_and_100(week: Day, before: int) -> None:
    assert 0 <= score(week, before) <= 100


@given(days, st.integers(0, 10_000), st.sampled_from(["hard_bounced", "complained", "unsubscribed"]))
def test_more_trouble_is_never_a_better_score(week: Day, before: int, what: str) -> None:
    worse = Day(**{**vars(week), what: getattr(week, what) + 1})
    assert score(worse, before) <= score(week, before)
