"""Buckets against a walk over every quarter-hour, through every kind of clock change."""

import bisect
import itertools
import random
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmeter.query.engine import buckets, pieces
from postmeter.query.engine.query import MAX_ROWS, Resolution
from postmeter.query.requests import times
from postmeter.shared.errors import ResultTooLarge
from postmeter.shared.storage import partitions
from postmeter.shared.storage.rollups import TIERS

QUARTER = timedelta(minutes=15)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "America/St_Johns",
    "Australia/Lord_Howe",  # changes by half an hour
    "America/Havana",  # sets its clocks back at 1:00, forward at 0:00
    "Asia/Beirut",  # skips midnight
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Kiritimati",
    "Antarctica/Troll",  # changes by two hours
)
CHANGES = [
    datetime(2011, 12, 30, 9, tzinfo=UTC),
    datetime(2017, 10, 15, 3, tzinfo=UTC),
    datetime(2018, 2, 18, 2, tzinfo=UTC),
    datetime(2025, 3, 9, 5, tzinfo=UTC),
    datetime(2025, 3, 29, 22, tzinfo=UTC),
    datetime(2025, 4, 5, 15, tzinfo=UTC),
    datetime(2025, 4, 24, 22, tzinfo=UTC),
    datetime(2025, 10, 4, 15, 30, tzinfo=UTC),
    datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2025, 11, 2, 5, tzinfo=UTC),
]


def key(instant: datetime, zone: tzinfo, resolution: Resolution) -> object:
    local = instant.astimezone(zone)
    match resolution:
        case Resolution.QUARTER_HOUR:
            return instant
        case Resolution.HOUR:
            return local.date(), local.hour, local.utcoffset()
        case Resolution.DAY:
            return local.date()
        case Resolution.WEEK:
            return local.date().isocalendar()[:2]
        case Resolution.MONTH:
            return local.year, local.month
        case _:
            return None


def walk(start: datetime, end: datetime, zone: tzinfo, resolution: Resolution) -> list[object]:
    found: list[object] = []
    instant = start
    while instant < end:
        if not found or found[-1] != key(instant, zone, resolution):
            found.append(key(instant, zone, resolution))
        instant += QUARTER
    return found


ranges = st.tuples(
    st.sampled_from(CHANGES), st.integers(-400, 400), st.integers(0, 4 * 24 * 45), st.sampled_from(ZONES)
)


@given(ranges, st.sampled_from([r for r in Resolution if r is not Resolution.TOTAL]))
@settings(max_examples=200, deadline=None)
def test_buckets_are_those_that_a_walk_meets(drawn: tuple[datetime, int, int, str], resolution: Resolution) -> None:
    near, before, length, name = drawn
    zone, start = ZoneInfo(name), near + before * QUARTER
    end = start + length * QUARTER
    starts = buckets.starts(start, end, zone, resolution)
    assert [key(s, zone, resolution) for s in starts] == walk(start, end, zone, resolution)
    for s in starts:
        assert key(s - QUARTER, zone, resolution) != key(s, zone, resolution)
    assert starts == sorted(set(starts))


@given(ranges, st.sampled_from(Resolution))
@settings(max_examples=150, deadline=None)
def test_pieces_tile_the_range_and_no_bucket_reaches_across_an_edge(
    drawn: tuple[datetime, int, int, str], resolution: Resolution
) -> None:
    near, before, length, name = drawn
    start = near + before * QUARTER
    end = start + length * QUARTER
    edges = buckets.starts(start, end, ZoneInfo(name), resolution)
    parts = pieces.split(TIERS, start, end, edges)
    seconds = {tier.table: tier.seconds for tier in TIERS}
    assert [p.start for p in parts] + [end] == [start] + [p.end for p in parts]
    for part in parts:
        assert part.start < part.end
        assert part.start.timestamp() % seconds[part.table] == 0
        assert part.end.timestamp() % seconds[part.table] == 0
        assert not [e for e in edges if part.start < e < part.end and e.timestamp() % seconds[part.table]]
    assert len(parts) <= 2 * len(TIERS) - 1


@given(
    st.sampled_from(CHANGES),
    st.integers(-300, 300),
    st.integers(1, 96 * 45),
    st.sampled_from(ZONES),
    st.sampled_from([Resolution.DAY, Resolution.DAY, Resolution.WEEK, Resolution.MONTH]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_whole_days_and_what_is_moved_give_each_bucket_its_own(
    near: datetime, before: int, length: int, name: str, resolution: Resolution, noise: random.Random
) -> None:
    start = near + before * QUARTER
    end = start + length * QUARTER
    edges = buckets.starts(start, end, ZoneInfo(name), resolution)[1:]
    days = pieces.whole_days(TIERS, start, end, edges)
    if days is None:
        assert len(edges) < 2 or end - start < timedelta(days=3) or not any(e.timestamp() % 86_400 for e in edges)
        return
    counts = {start + n * QUARTER: noise.randrange(1000) for n in range(length)}
    wanted, found = [0] * (len(edges) + 2), [0] * (len(edges) + 2)
    for at, n in counts.items():
        wanted[1 + bisect.bisect(edges, at)] += n
        found[1 + bisect.bisect(days.anchors, at)] += n
    seconds = {tier.table: tier.seconds for tier in TIERS}[days.table]
    for moved in days.moved:
        assert timedelta() < moved.end - moved.start < timedelta(days=1)
        assert not moved.start.timestamp() % seconds
        assert not moved.end.timestamp() % seconds
        at = moved.start
        while at < moved.end:
            found[moved.number] += moved.sign * counts[at]
            found[moved.number - 1] -= moved.sign * counts[at]
            at += QUARTER
    assert found == wanted
    assert days.anchors == sorted(days.anchors)
    assert not [anchor for anchor in days.anchors if anchor.timestamp() % 86_400]


@given(
    st.sampled_from(CHANGES),
    st.integers(-100_000, 100_000),
    st.integers(1, 400_000),
    st.sampled_from(ZONES),
    st.sampled_from([r for r in Resolution if r is not Resolution.TOTAL]),
)
@settings(max_examples=100, deadline=None)
def test_a_range_that_begins_at_any_second_touches_the_buckets_of_the_quarter_hours_around_it(
    near: datetime, before: int, length: int, name: str, resolution: Resolution
) -> None:
    start = near + timedelta(seconds=before)
    end = start + timedelta(seconds=length)
    around = buckets.starts(buckets.floor_quarter(start), buckets.ceil_quarter(end), ZoneInfo(name), resolution)
    assert buckets.starts(start, end, ZoneInfo(name), resolution) == around


def changes(zone: ZoneInfo, year: int) -> tuple[tuple[datetime, timedelta | None], ...]:
    """The days of a year on which the clocks of a zone change, and what to."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(366)]
    offsets = [(day, day.astimezone(zone).utcoffset()) for day in days]
    return tuple(after for before, after in itertools.pairwise(offsets) if before[1] != after[1])


def test_every_zone_there_is_around_every_change_of_its_clocks() -> None:
    """Zones that change their clocks alike are tried once."""
    alike = {
        (datetime(2025, 1, 1, tzinfo=z).utcoffset(), changes(z, 2025)): z
        for z in map(ZoneInfo, sorted(times.zone_names()))
    }
    assert len(alike) > 50
    for (_, changed), zone in alike.items():
        for day in [day for day, _ in changed] or [datetime(2025, 6, 1, tzinfo=UTC)]:
            start, end = day - timedelta(hours=30), day + timedelta(hours=30)
            for resolution in (Resolution.HOUR, Resolution.DAY, Resolution.WEEK, Resolution.MONTH):
                starts = buckets.starts(start, end, zone, resolution)
                assert [key(s, zone, resolution) for s in starts] == walk(start, end, zone, resolution)
                for s in starts:
                    assert s == buckets.floor_quarter(s)
                    assert key(s - QUARTER, zone, resolution) != key(s, zone, resolution)


def test_the_coarsest_tier_answers_the_middle() -> None:
    start, end = datetime(2025, 3, 1, 22, 45, tzinfo=UTC), datetime(2025, 3, 9, 1, 15, tzinfo=UTC)
    tables = [piece.table for piece in pieces.split(TIERS, start, end, [start])]
    assert tables == ["activity_15m", "activity_1h", "activity_1d", "activity_1h", "activity_15m"]
    kathmandu = buckets.starts(start, end, ZoneInfo("Asia/Kathmandu"), Resolution.DAY)
    assert [piece.table for piece in pieces.split(TIERS, start, end, kathmandu)] == ["activity_15m"]
    berlin = buckets.starts(start, end, ZoneInfo("Europe/Berlin"), Resolution.DAY)
    assert "activity_1d" not in [piece.table for piece in pieces.split(TIERS, start, end, berlin)]


def test_days_of_23_and_25_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in ((30, 23), (29, 24)):
        start = datetime(2025, 3, day, tzinfo=berlin).astimezone(UTC)
        end = datetime(2025, 3, day + 1, tzinfo=berlin).astimezone(UTC)
        assert len(buckets.starts(start, end, berlin, Resolution.HOUR)) == hours
        assert len(buckets.starts(start, end, berlin, Resolution.DAY)) == 1
    start, end = datetime(2025, 10, 25, 22, tzinfo=UTC), datetime(2025, 10, 26, 23, tzinfo=UTC)
    assert len(buckets.starts(start, end, berlin, Resolution.HOUR)) == 25


def test_a_day_that_a_zone_left_out_is_no_bucket() -> None:
    zone = ZoneInfo("Pacific/Apia")
    low, high = (datetime(*day, tzinfo=zone).astimezone(UTC) for day in ((2011, 12, 29), (2012, 1, 2)))
    found = buckets.starts(low, high, zone, Resolution.DAY)
    assert [f"{start.astimezone(zone):%m-%d}" for start in found] == ["12-29", "12-31", "01-01"]


def test_weeks_start_on_monday() -> None:
    starts = buckets.starts(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 13, tzinfo=UTC), UTC, Resolution.WEEK)
    assert [s.isoformat()[:10] for s in starts] == ["2025-12-29", "2026-01-05", "2026-01-12"]


@pytest.mark.parametrize("resolution", [Resolution.QUARTER_HOUR, Resolution.HOUR])
def test_too_many_buckets_are_refused_before_they_are_made(resolution: Resolution) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(ResultTooLarge) as refused:
        buckets.starts(start, start + timedelta(hours=MAX_ROWS + 1), UTC, resolution)
    assert refused.value.field == "resolution"


def test_quarters_round_outward() -> None:
    exact, inside = datetime(2025, 1, 1, 0, 15, tzinfo=UTC), datetime(2025, 1, 1, 0, 15, 0, 1, tzinfo=UTC)
    assert buckets.floor_quarter(exact) == buckets.ceil_quarter(exact) == buckets.floor_quarter(inside) == exact
    assert buckets.ceil_quarter(inside) == exact + QUARTER


def test_what_is_behind_a_range_is_taken_off_only_where_its_hours_are_kept() -> None:
    """The shortest that they are: for the month before the present one (`retain_hours` of 1)."""
    for day in range(366):
        now = datetime(2026, 1, 1, 23, 59, tzinfo=UTC) + timedelta(days=day)
        dropped = partitions.add_months(now.date(), -1)
        end = datetime(dropped.year, dropped.month, dropped.day, tzinfo=UTC) - timedelta(hours=6)
        assert pieces.last_day(TIERS, end - timedelta(days=3), end, [], now) is None
