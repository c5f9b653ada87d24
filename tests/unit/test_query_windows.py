"""Windows of Workspaces and Misar (semantics.md, "Time")."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.query.documents import vectis, window
from postmeter.query.documents.window import Window, between, preset, read
from postmeter.query.requests import times
from postmeter.shared.errors import RequestError
from postmeter.shared.text.stamps import stamp

NOW = datetime(2025, 11, 26, 10, 20, 30, tzinfo=UTC)


def printed(found: Window) -> tuple[str, str, str]:
    return stamp(found.start), stamp(found.end), found.period


@pytest.mark.parametrize(
    ("time_range", "start", "end", "expected"),
    [
        (None, None, None, ("2025-10-27T00:00:00Z", "2025-11-26T23:59:59Z", "30d")),
        ("7d", None, None, ("2025-11-19T00:00:00Z", "2025-11-26T23:59:59Z", "7d")),
        ("90d", None, None, ("2025-08-28T00:00:00Z", "2025-11-26T23:59:59Z", "90d")),
        ("7d", "2025-01-01", "2025-01-02", ("2025-11-19T00:00:00Z", "2025-11-26T23:59:59Z", "7d")),
        ("custom", None, None, ("2025-10-27T00:00:00Z", "2025-11-26T23:59:59Z", "custom")),
        (None, "2025-01-31", "2025-02-01", ("2025-01-31T00:00:00Z", "2025-02-01T23:59:59Z", "custom")),
        ("custom", "2024-02-29", "2024-02-29", ("2024-02-29T00:00:00Z", "2024-02-29T23:59:59Z", "custom")),
        (None, "2025-11-20", None, ("2025-11-20T00:00:00Z", "2025-11-26T23:59:59Z", "custom")),
        (None, None, "2025-11-20", ("2025-10-27T00:00:00Z", "2025-11-20T23:59:59Z", "custom")),
        # what is printed may be given again
        (
            None,
            "2025-10-27T00:00:00Z",
            "2025-11-26T23:59:59Z",
            ("2025-10-27T00:00:00Z", "2025-11-26T23:59:59Z", "custom"),
        ),
        # timestamps are widened to quarter-hours
        (
            None,
            "2025-11-01T10:14:59Z",
            "2025-11-01T12:00:01+01:00",
            ("2025-11-01T10:00:00Z", "2025-11-01T11:14:59Z", "custom"),
        ),
        (
            None,
            "2025-11-01T10:00:00Z",
            "2025-11-01T10:00:00Z",
            ("2025-11-01T10:00:00Z", "2025-11-01T10:00:00Z", "custom"),
        ),
        (None, "2026-01-01", "2027-01-01", ("2026-01-01T00:00:00Z", "2027-01-01T23:59:59Z", "custom")),
    ],
)
def test_windows(time_range: str | None, start: str | None, end: str | None, expected: tuple[str, str, str]) -> None:
    assert printed(read(time_range, start, end, NOW)) == expected


def test_one_instant_is_an_empty_window() -> None:
    found = read(None, "2025-11-01T10:07:00Z", "2025-11-01T10:07:00Z", NOW)
    assert found.start == found.end_exclusive


@pytest.mark.parametrize(
    ("time_range", "start", "end", "name", "part"),
    [
        ("30D", None, None, "timeRange", "timeRange takes 7d, 30d, 90d or custom"),
        ("", None, None, "timeRange", "timeRange takes"),
        (None, "2025-11-02", "2025-11-01", "startDate", "Start date must be before end date"),
        (None, "2025-11-02T00:00:01Z", "2025-11-02T00:00:00Z", "startDate", "Start date must be before end date"),
        (None, "2025-11-27", None, "startDate", "startDate lies after the default of endDate, today: give both"),
        (None, None, "2025-10-26", "endDate", "endDate lies before the default of startDate, 2025-10-27: give both"),
        ("custom", "", None, "startDate", "startDate: takes a timestamp"),
        (None, "2025-02-29", None, "startDate", "startDate: is not a date"),
        (None, "2025-11-01T10:00:00", None, "startDate", "needs a time zone"),
        (None, None, "2025-11-01T10:00:60Z", "endDate", "endDate: is not a date or time that exists"),
        (None, "0000-01-01", None, "startDate", "startDate:"),
        (None, None, "9999-12-31", "endDate", "years from"),
        (None, "2000-01-01", "2025-01-01", "startDate", "may span 3660 days"),
    ],
)
def test_what_is_not_a_window(time_range: str | None, start: str | None, end: str | None, name: str, part: str) -> None:
    with pytest.raises(RequestError, match=part) as raised:
        read(time_range, start, end, NOW)
    assert (raised.value.status, raised.value.code, raised.value.field) == (400, "INVALID_TIME_RANGE", name)


def test_bodies_name_their_own_fields() -> None:
    for (time_range, start), name in (("9d", None), "time_range"), ((None, "x"), "start_date"):
        with pytest.raises(RequestError) as raised:
            read(time_range, start, None, NOW, window.BODY)
        assert raised.value.field == name
        assert raised.value.message.startswith(name)


def test_one_end_alone_takes_the_other_from_the_period() -> None:
    found = between(None, "2025-11-25", preset("7d", NOW), ("from", "to"))
    assert printed(found)[:2] == ("2025-11-19T00:00:00Z", "2025-11-25T23:59:59Z")


EARLIEST = datetime(2001, 1, 1, tzinfo=UTC)
instants = st.integers(0, 4 * 365 * 86400 * 10**6).map(lambda micros: EARLIEST + timedelta(microseconds=micros))


@given(instants, instants)
def test_a_window_of_timestamps_holds_them_and_less_than_two_quarters_more(a: datetime, b: datetime) -> None:
    start, end = sorted((a, b))
    found = read(None, start.isoformat(), end.isoformat(), NOW)
    quarter = timedelta(minutes=15)
    assert start - quarter < found.start <= start
    assert start == end or end <= found.end_exclusive < end + quarter
    days = found.whole_days()
    assert days.start <= found.start
    assert found.end_exclusive <= days.end_exclusive
    assert {days.start.time(), days.end_exclusive.time()} == {datetime.min.time()}


@given(instants)
def test_every_preset_ends_with_today(now: datetime) -> None:
    for period, days in window.PERIODS.items():
        found = preset(period, now)
        assert found.start.date() == now.date() - timedelta(days=days)
        assert found.end.date() == now.date()
        assert found == found.whole_days()


def test_vectis_windows_are_whole_buckets_up_to_the_present_one() -> None:
    noon, quarter = datetime(2026, 3, 1, 12, tzinfo=UTC), timedelta(minutes=15)
    for now in (noon, noon + quarter - timedelta(microseconds=1)):
        assert vectis.window("1h", now) == (noon - 3 * quarter, noon + quarter)
    assert vectis.window("24h", noon) == (noon - timedelta(hours=23), noon + timedelta(hours=1))
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    assert vectis.window("7d", midnight) == (midnight - timedelta(days=6), midnight + timedelta(days=1))


def test_a_window_has_ten_years_at_most() -> None:
    start = datetime(2015, 1, 1, tzinfo=UTC)
    end = start + timedelta(days=times.MAX_DAYS)
    assert read(None, stamp(start), stamp(end), NOW).end_exclusive == end
    with pytest.raises(RequestError, match="days at most"):
        read(None, stamp(start), stamp(end + timedelta(seconds=1)), NOW)
