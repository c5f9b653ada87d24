"""Windows and buckets as semantics.md, "Time", has them: walked through quarter-hour by quarter-hour."""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def zone(name: str) -> tzinfo:
    """An IANA zone, or an offset such as +05:45."""
    if name == "UTC":
        return UTC
    if name[0] in "+-":
        minutes = int(name[1:3]) * 60 + int(name[4:6])
        return timezone(timedelta(minutes=minutes if name[0] == "+" else -minutes))
    return ZoneInfo(name)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def quarter(at: datetime) -> datetime:
    """The quarter-hour that holds the moment: "quarter-hour buckets make every local hour, day, week exact"."""
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def quarter_after(at: datetime) -> datetime:
    """The first quarter-hour that starts at or after the moment."""
    return quarter(at) if quarter(at) == at else quarter(at) + QUARTER


def bucket_key(at: datetime, unit: str, local: tzinfo) -> object:
    """Two moments lie in the same local hour, day, week or month if their keys are equal.

    docs/api/query.md: "an hour that the clocks repeat is two buckets". semantics.md: "Weeks start on Monday."
    """
    there = at.astimezone(local)
    match unit:
        case "quarter_hour":
            return at
        case "hour":
            return there.date(), there.hour, there.utcoffset()
        case "day":
            return there.date()
        case "week":
            return there.date() - timedelta(days=there.weekday())
        case "month":
            return there.year, there.month
    raise AssertionError(unit)


@lru_cache(maxsize=4096)
def first_instant(at: datetime, unit: str, local: tzinfo) -> datetime:
    """When the bucket that holds a quarter-hour begins (UTC)."""
    key = bucket_key(at, unit, local)
    while bucket_key(at - QUARTER, unit, local) == key:
        at -= QUARTER
    return at


@lru_cache(maxsize=4096)
def quarters(day: datetime, unit: str, local: tzinfo) -> list[tuple[datetime, object]]:
    """The quarter-hours of a UTC day, each with the key of its bucket. One day is asked for in many ranges."""
    return [(at, bucket_key(at, unit, local)) for at in (day + number * QUARTER for number in range(96))]


@lru_cache(maxsize=64)
def buckets(start: datetime, end: datetime, unit: str, local: tzinfo = UTC) -> dict[datetime, datetime]:
    """Of each quarter-hour in the range the first instant of its bucket, ascending. An empty range has none."""
    found: dict[datetime, datetime] = {}
    if start >= end:
        return found
    first, day, key, begins = quarter(start), midnight(start.astimezone(UTC).date()), None, start
    while day < end:
        for at, here in quarters(day, unit, local):
            if first <= at < end:
                if here != key:
                    key, begins = here, first_instant(at, unit, local) if not found else at
                found[at] = begins
        day += DAY
    return found


def starts(start: datetime, end: datetime, unit: str, local: tzinfo = UTC) -> list[datetime]:
    """The first instants of a range's buckets, ascending."""
    return list(dict.fromkeys(buckets(start, end, unit, local).values()))


def stamp(at: datetime) -> str:
    """`2026-04-03T12:00:00Z`: whole seconds; another zone's with its offset."""
    text = at.replace(microsecond=0).isoformat()
    return text.replace("+00:00", "Z")


def parse(text: str, local: tzinfo = UTC, *, last: bool) -> datetime:
    """A timestamp with its zone; a date: its first instant, or the end of its last (exclusive)."""
    if len(text) > 10:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    day = date.fromisoformat(text) + (DAY if last else timedelta())
    at = midnight(day) - DAY
    while at.astimezone(local).date() < day:
        at += QUARTER
    return at


def backwards(since: datetime, until: datetime, *, day: bool) -> bool:
    """Whether a range ends before it begins. day: it ends with a date, whose last instant lies before `until`."""
    return since > until or (day and since == until)


def is_date(text: str | None) -> bool:
    return text is not None and len(text) == 10


def whole_days(now: datetime, days: int) -> tuple[datetime, datetime]:
    """Workspaces, Misar: "from 00:00:00 UTC N days ago to 23:59:59 UTC today". The end is exclusive."""
    today = midnight(now.date())
    return today - days * DAY, today + DAY


def overridden(
    since: datetime, until: datetime, start: str | None, end: str | None
) -> tuple[datetime, datetime, str, str] | None:
    """Workspaces' and Misar's window with ends, and how both are printed: the first and the last second counted.
    None: it ends before it begins.
    """
    if start is not None:
        since = parse(start, last=False)
    if end is not None:
        until = parse(end, last=True)
    if backwards(since, until, day=end is None or is_date(end)):
        return None
    if since == until:  # nothing
        since = quarter(since)
        return since, since, stamp(since), stamp(since)
    since, until = quarter(since), quarter_after(until)
    return since, until, stamp(since), stamp(until - SECOND)
