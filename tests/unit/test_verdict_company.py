"""The verdict of clicks by the company they keep, against a plain judge that looks at every stretch by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.aggregator.verdicts.company import RANK, Click, changed, is_evidence, judged, may_decide, reach
from postmeter.shared.storage.thresholds import Thresholds
from tests.aggregation import SECOND
from tests.company import Seen, company

DEFAULTS = Thresholds()
OFF = Thresholds(0, 0, 0, 0, 0, 0)
thresholds = st.builds(
    Thresholds,
    burst_clicks=st.sampled_from([0, 2, 3, 5]),
    burst_links=st.sampled_from([0, 2, 3]),
    burst_milliseconds=st.sampled_from([0, 1, 500, 3000]),
    all_links=st.sampled_from([0, 2, 3]),
    scan_seconds=st.sampled_from([0, 1, 4, 10]),
    early_seconds=st.sampled_from([0, 1, 5]),
)
clicks = st.builds(
    Click,
    at=st.integers(0, 60).map(lambda n: n * SECOND // 4),
    url=st.sampled_from(["", "a", "b", "c"]),
    agent=st.sampled_from(["x", "y"]),
    reason=st.sampled_from([None] * 8 + ["head", "honeypot"]),
)
links = st.integers(0, 4)
deliveries = st.none() | st.integers(-20, 20).map(lambda n: n * SECOND // 2)


def plainly(some: list[Click], of: int, delivered: int | None, said: Thresholds) -> list[str | None]:
    seen = [
        Seen(c.at, str(c.url or ""), (c.agent or "").encode(), (c.reason or "") if is_evidence(c) else "") for c in some
    ]
    found = company(seen, of, delivered, said)
    return [one.mark or found.get(one) for one in seen]


@given(some=st.lists(clicks), of=links, delivered=deliveries, said=thresholds)
def test_it_is_what_a_plain_judge_says(some: list[Click], of: int, delivered: int | None, said: Thresholds) -> None:
    some.sort(key=lambda click: click.at)
    reasons = judged(some, of, delivered, said)
    assert reasons == plainly(some, of, delivered, said)
    assert may_decide(some, of, said) or set(reasons) <= {None, "early"}


@given(some=st.lists(clicks), more=clicks, of=links, said=thresholds)
def test_another_click_acquits_nobody_and_convicts_only_within_reach(
    some: list[Click], more: Click, of: int, said: Thresholds
) -> None:
    some.sort(key=lambda click: click.at)
    before = judged(some, of, None, said)
    place = sum(click.at <= more.at for click in some)
    both = [*some[:place], more, *some[place:]]
    after = judged(both, of, None, said)
    del after[place]
    for click, was, now in zip(some, before, after, strict=True):
        if not is_evidence(click):
            assert RANK[now] >= RANK[was]
            assert now == was or abs(click.at - more.at) <= reach(said)


@given(some=st.lists(clicks, min_size=1), of=links, delivered=deliveries, said=thresholds, data=st.data())
def test_who_sees_a_part_only_changes_nothing_that_the_whole_would_not(
    some: list[Click], of: int, delivered: int | None, said: Thresholds, data: st.DataObject
) -> None:
    some.sort(key=lambda click: click.at)
    whole = judged(some, of, delivered, said)
    known = [c if is_evidence(c) else c._replace(reason=r) for c, r in zip(some, whole, strict=True)]
    low = data.draw(st.integers(0, len(some) - 1))
    part = known[low : data.draw(st.integers(low, len(some)))]
    assert list(changed(part, judged(part, of, delivered, said))) == []


@pytest.mark.parametrize(
    ("some", "of", "said", "reasons"),
    [
        ("a0", 0, DEFAULTS, "-"),
        ("a0 a1 a2 a3", 0, DEFAULTS, "----"),
        ("a0 a1 a2 a3 a4", 0, DEFAULTS, "-----"),
        ("a0 a1 a2 a3 a4", 0, DEFAULTS._replace(burst_clicks=5), "bbbbb"),
        ("a0 a1 a2 a3 a11", 0, DEFAULTS._replace(burst_clicks=5), "-----"),
        ("a0 b1 c2", 0, DEFAULTS, "---"),
        ("a0 b3 c7 d10", 0, DEFAULTS, "bbbb"),
        ("a0 b3 c7 d11", 0, DEFAULTS, "----"),
        ("a0 b9 c20 d100", 4, DEFAULTS, "llll"),
        ("a0 b9 c20 d101", 4, DEFAULTS, "----"),
        ("a0 b9 c20", 3, DEFAULTS, "---"),
        ("a0 b9 c20", 3, OFF._replace(all_links=3, scan_seconds=2), "lll"),
        ("a0 b9 c20 d100", 5, DEFAULTS, "----"),
        ("a0 b1 c2 d90 a300", 4, DEFAULTS._replace(burst_links=3), "bbbl-"),
        ("a0 b1 c2 d3", 0, DEFAULTS._replace(burst_links=0), "----"),
        ("a0 b1 c2 d3 e4", 5, DEFAULTS._replace(burst_milliseconds=0, all_links=0), "-----"),
        ("a0 a0 a0 a0 a0", 0, OFF, "-----"),
    ],
)
def test_examples(some: str, of: int, said: Thresholds, reasons: str) -> None:
    """Links are letters, times tenths of a second; - a person, b a burst, l all links."""
    found = [Click(int(one[1:]) * SECOND // 10, one[0], "x", None) for one in some.split()]
    assert judged(found, of, None, said) == [{"-": None, "b": "burst", "l": "all_links"}[one] for one in reasons]
    assert may_decide(found, of, said) or set(reasons) == {"-"}


def test_near_is_to_the_microsecond() -> None:
    times = (10 * SECOND - 1, 10 * SECOND, 20 * SECOND, 30 * SECOND, 30 * SECOND + 1)
    found = [Click(at, "a", "x", "head" if at == 20 * SECOND else None) for at in times]
    assert judged(found, 1, None, OFF._replace(scan_seconds=10)) == [None, "near_head", "head", "near_head", None]
    early = [Click(10 * SECOND + after, "a", "x", None) for after in (-1, 0, 2 * SECOND, 2 * SECOND + 1)]
    assert judged(early, 1, 10 * SECOND, OFF._replace(early_seconds=2)) == [None, "early", "early", None]


def test_only_what_the_delivery_said_is_taken_back() -> None:
    early, burst = (Click(0, "a", "x", reason) for reason in ("early", "burst"))
    assert list(changed([early, burst], [None, None])) == [(early, None)]


def test_thousands_of_clicks_on_one_link_are_not_a_person() -> None:
    storm = [Click(number * SECOND // 2000, "a", f"agent {number % 3}", None) for number in range(12_000)]
    assert set(judged(storm, 1, None, DEFAULTS)) == {"burst"}


@given(st.lists(st.integers(0, 60 * SECOND), max_size=9), st.integers(1, 3))
def test_an_eager_person_is_not_a_burst(presses: list[int], doubled: int) -> None:
    """Nine presses whenever they like, each a double or triple click, is nobody's burst on one link."""
    some = [Click(at + again * 1000, "a", "x", None) for at in sorted(presses) for again in range(doubled)]
    assert set(judged(some, 1, None, DEFAULTS)) <= {None}


def test_without_rules_there_is_nothing_to_look_at() -> None:
    assert reach(OFF) == 0
    assert reach(OFF._replace(burst_milliseconds=1000)) == 0
    assert reach(DEFAULTS._replace(scan_seconds=0)) == 1_000_000
    assert reach(DEFAULTS) == 10 * SECOND
    assert reach(OFF._replace(burst_milliseconds=1000, burst_links=4)) == SECOND
