"""Times and zones as callers write them (hostile-input.md 34-39)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from postmeter.query.requests import times
from postmeter.shared.errors import FieldRefused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-03T12:00:00Z", datetime(2026, 4, 3, 12, tzinfo=UTC)),
        ("2026-04-03t12:00:00z", datetime(2026, 4, 3, 12, tzinfo=UTC)),
        ("2026-04-03 12:00:00+05:45", datetime(2026, 4, 3, 6, 15, tzinfo=UTC)),
        ("2026-04-03T12:00:00 05:45", datetime(2026, 4, 3, 6, 15, tzinfo=UTC)),
        ("2026-04-03 12:00:00.5 05:45", datetime(2026, 4, 3, 6, 15, 0, 500000, tzinfo=UTC)),
        ("2026-04-03T00:00:00-14:00", datetime(2026, 4, 3, 14, tzinfo=UTC)),
        ("2026-04-03T12:00:00.123456789Z", datetime(2026, 4, 3, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-04-03T12:00:00.5Z", datetime(2026, 4, 3, 12, 0, 0, 500000, tzinfo=UTC)),
        ("2026-04-03T12:00Z", datetime(2026, 4, 3, 12, tzinfo=UTC)),
        ("2026-04-03T12:00:00,5+0545", datetime(2026, 4, 3, 6, 15, 0, 500000, tzinfo=UTC)),
        ("2026-04-03 12:00 0545", datetime(2026, 4, 3, 6, 15, tzinfo=UTC)),
        ("2026-04-03T12:00:00-03", datetime(2026, 4, 3, 15, tzinfo=UTC)),
        ("2028-02-29", datetime(2028, 2, 28, 23, tzinfo=UTC)),
    ],
)
def test_instants(text: str, expected: datetime) -> None:
    assert times.instant(text, "from", ZoneInfo("Europe/Berlin"), last=False) == expected


def test_a_date_as_end_is_the_end_of_its_day_in_the_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert times.instant("2025-03-30", "to", berlin, last=True) == datetime(2025, 3, 30, 22, tzinfo=UTC)
    assert times.instant("2025-03-30", "from", berlin, last=False) == datetime(2025, 3, 29, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-04-03T12:00:00", "needs a time zone"),
        ("2026-04-03 12:00", "needs a time zone"),
        ("2026-04-03T12Z", "takes a timestamp"),
        ("2026-04-03T12:00.5Z", "takes a timestamp"),
        ("2026-04-03T12:00:00 ", "takes a timestamp"),
        ("2026-04-03T12:00:00  05:45", "takes a timestamp"),
        ("2026-04-03T12:00:00 Z", "takes a timestamp"),
        ("2026-04-03T12:00:00 25:00", "that exists"),
        ("2026-04-03T12:00:60Z", "that exists"),
        ("2026-04-03T24:00:00Z", "that exists"),
        ("2027-02-29", "that exists"),
        ("2027-02-29T00:00:00Z", "that exists"),
        ("0000-01-01T00:00:00Z", "that exists"),
        ("0001-01-01T00:00:00Z", "2000 to 2100"),
        ("1969-12-31", "2000 to 2100"),
        ("9999-12-31T23:59:59-14:00", "2000 to 2100"),
        ("9999-12-31", "2000 to 2100"),
        ("2026-04-03T12:00:00+25:00", "that exists"),
        ("20260403", "takes a timestamp"),
        ("2026-W14-5", "takes a timestamp"),
        ("now", "takes a timestamp"),
        ("", "takes a timestamp"),
        ("٢٠٢٦-٠٤-٠٣", "takes a timestamp"),
        ("2026-04-03T12:00:00Z\n", "takes a timestamp"),
    ],
)
def test_what_is_not_an_instant_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(FieldRefused, match=says) as refused:
        times.instant(text, "from", UTC, last=True)
    assert refused.value.field == "from"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("UTC", 0),
        ("+05:30", 330),
        ("+05:45", 345),
        (" 05:45", 345),
        ("+14:00", 840),
        ("-12:00", -720),
        ("Asia/Kathmandu", 345),
    ],
)
def test_zones(text: str, minutes: int) -> None:
    assert datetime(2026, 1, 1, tzinfo=times.zone(text, "timezone")).utcoffset() == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "  05:45",
            " 05:31",
            " UTC",
            "Mars/Olympus",
            "../../etc/passwd",
            "/etc/passwd",
            "+05:31",
            "+14:15",
            "+99:00",
            "europe/\0",
            "GMT+1",
        ),
        *("localtime", "Factory", "posixrules", "right/UTC", "posix/UTC", "zone.tab", "tzdata.zi", "Europe"),
    ],
)
def test_unknown_zones_are_refused(text: str) -> None:
    with pytest.raises(FieldRefused) as refused:
        times.zone(text, "timezone")
    assert refused.value.field == "timezone"


def test_ranges() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    times.check_range(day, day, "from", "to")
    times.check_range(day, day + timedelta(days=times.MAX_DAYS), "from", "to")
    with pytest.raises(FieldRefused, match="before from"):
        times.check_range(day, day - timedelta(seconds=1), "from", "to")
    with pytest.raises(FieldRefused, match="before from"):  # the day before, as a date
        times.check_range(day, day, "from", "to", ends_a_day=True)
    with pytest.raises(FieldRefused, match=f"{times.MAX_DAYS} days"):
        times.check_range(day, day + timedelta(days=times.MAX_DAYS, seconds=1), "from", "to")


def test_years() -> None:
    for text in ("2000-01-01", "2000-01-01T00:00:00Z", "2100-12-31"):
        times.instant(text, "from", UTC, last=False)
    for text in ("1999-12-31", "1999-12-31T23:59:59Z", "2101-01-01"):
        with pytest.raises(FieldRefused, match="years from 2000 to 2100"):
            times.instant(text, "from", UTC, last=False)
