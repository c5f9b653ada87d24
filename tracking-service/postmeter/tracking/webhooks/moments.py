"""Times as providers write them, in microseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from postmeter.tracking import fields
from postmeter.tracking.webhooks.reading import Unreadable

_LARGEST = 253_402_300_799
_SMALLEST = -62_135_596_800


def of_epoch(value: float | int | str | None, per_second: int = 1) -> int | None:
    """Of seconds since 1970, also with a fraction; or of parts of which a second has `per_second`."""
    if value is None or value == "":
        return None
    try:
        seconds = float(value) / per_second
    except (ValueError, OverflowError):
        raise Unreadable(f"{str(value)[:40]!r} is no Unix time") from None
    if not 0 <= seconds <= _LARGEST:
        raise Unreadable("the time is out of range")
    return round(seconds * 1_000_000)


def of_text(value: str | None) -> int | None:
    """Of an ISO 8601 text; one without a zone is UTC, for that is what providers that leave it out document."""
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(_with_micros(value.strip()))
        found = fields.micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        if not _SMALLEST <= found // 1_000_000 <= _LARGEST:
            raise ValueError  # its zone takes it out of the years 1 to 9999
    except (ValueError, OverflowError):
        raise Unreadable(f"{value[:40]!r} is no time") from None
    return found


def of_mail_date(value: str | None) -> int | None:
    """Of an RFC 5322 date."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
        return fields.micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError, IndexError, TypeError):
        raise Unreadable(f"{value[:40]!r} is no time") from None


def _with_micros(text: str) -> str:
    """Some write nanoseconds, which Python does not read."""
    head, point, rest = text.partition(".")
    if not point:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[:digits][:6]:0<6}{rest[digits:]}"
