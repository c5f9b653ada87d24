"""Times and zones as callers write them; nothing is guessed (hostile-input.md 34-39)."""

from __future__ import annotations

import functools
import re
import zoneinfo
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

from postmeter.query.engine.buckets import first_instant
from postmeter.shared.http.fields import invalid
from postmeter.shared.http.times import EXAMPLE, has_no_zone, timestamp

MIN_YEAR, MAX_YEAR = 2000, 2100
MAX_DAYS = 3660
"""The longest range of one query: ten years."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_OFFSET = re.compile(r"([+ -])(\d\d):(\d\d)", re.ASCII)


_NO_PLACES = {"Factory", "localtime", "posixrules"}
"""Files beside the zones: no zone was chosen yet, this machine's own, rules for names of another form."""


@functools.cache
def zone_names() -> frozenset[str]:
    """The names of all IANA time zones."""
    return frozenset(zoneinfo.available_timezones() - _NO_PLACES)


def zone(text: str, field: str) -> tzinfo:
    """An IANA time zone or a fixed offset like `+05:45`. Raises FieldRefused."""
    if text in ("UTC", "Z"):
        return UTC
    match = _OFFSET.fullmatch(text)
    if match:
        minutes = int(match.group(2)) * 60 + int(match.group(3))
        if minutes <= 14 * 60 and minutes % 15 == 0:
            return timezone(timedelta(minutes=-minutes if match.group(1) == "-" else minutes))
    elif text in zone_names():
        return zoneinfo.ZoneInfo(text)
    raise invalid(field, "takes an IANA time zone such as Europe/Berlin, or an offset such as +05:45")


def zone_name(text: str) -> str:
    """The name of a zone as it is printed: an offset with its sign, which a query string may have lost."""
    return f"+{text[1:]}" if text.startswith(" ") else text


def is_date(text: str) -> bool:
    """Whether a text is a date without a time."""
    return _DATE.fullmatch(text) is not None


def instant(text: str, field: str, local: tzinfo, *, last: bool) -> datetime:
    """The instant (UTC) of an ISO 8601 timestamp with a zone, or of a date in `local`.

    A date is its first instant, or its end where `last` is set. Raises FieldRefused.
    """
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            _check_year(day.year, field)
            return first_instant(day + timedelta(days=1) if last else day, local)
    except ValueError:
        raise invalid(field, "is not a date or time that exists") from None
    head, space, tail = text.rpartition(" ")
    if space and has_no_zone(head):
        # A `+` that was not percent-encoded arrives as a space; behind a time it can be nothing else.
        text = f"{head}+{tail}"
    written = timestamp(field, text, takes=f"a timestamp like {EXAMPLE}, or a date")
    _check_year(written.year, field)
    return written.astimezone(UTC)


def in_utc(text: str | None) -> str | None:
    """A timestamp with a zone: UTC where it has none, for Misar, whose clients send naive ISO 8601."""
    return f"{text}Z" if text is not None and has_no_zone(text) else text


def check_range(start: datetime, end: datetime, start_field: str, end_field: str, *, ends_a_day: bool = False) -> None:
    """Raises FieldRefused for a range that ends before it starts, or is longer than MAX_DAYS.

    ends_a_day: `end` was written as a date; then its last instant is before it, and before a start that equals it.
    """
    if start > end or (ends_a_day and start == end):
        raise invalid(end_field, f"lies before {start_field}")
    if end - start > timedelta(days=MAX_DAYS):
        raise invalid(start_field, f"the range may span {MAX_DAYS} days at most")


def _check_year(year: int, field: str) -> None:
    if not MIN_YEAR <= year <= MAX_YEAR:
        raise invalid(field, f"takes years from {MIN_YEAR} to {MAX_YEAR}")
