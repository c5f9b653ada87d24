"""Times as callers write them; nothing is guessed (hostile-input.md 36-39)."""

from __future__ import annotations

import re
from datetime import datetime

from postmeter.shared.http.fields import invalid

# RFC 3339, and what libraries print as ISO 8601 too: no seconds where they are 0, an offset without its colon or its
# minutes. msgspec's own reading of dates is wider than what we want to promise.
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?:(:\d\d)(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
EXAMPLE = "2026-04-03T12:00:00Z"


def timestamp(field: str, text: str, *, takes: str = f"a time such as {EXAMPLE}") -> datetime:
    """The time of an ISO 8601 timestamp with a zone, to the microsecond. Raises FieldRefused.

    takes: what the field takes, in words.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise invalid(field, f"takes {takes}")
    day, clock, seconds, fraction, zone = match.groups()
    if zone is None:
        raise invalid(field, "needs a time zone, such as Z or +02:00")
    # Python 3.14 reads 24:00 as the next day's first instant; RFC 3339 (5.6) ends at 23.
    if clock.startswith("24"):
        raise invalid(field, "is not a date or time that exists")
    try:
        return datetime.fromisoformat(f"{day}T{clock}{seconds or ':00'}.{(fraction or '0')[:6]:0<6}{zone.upper()}")
    except ValueError:
        raise invalid(field, "is not a date or time that exists") from None


def has_no_zone(text: str) -> bool:
    """Whether a text is a timestamp but for its zone."""
    match = _TIMESTAMP.fullmatch(text)
    return match is not None and match[5] is None
