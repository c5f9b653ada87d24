"""Times as providers write them, in microseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from postmeter.tracking.requests import fields

At = int | str | None
"""Microseconds since 1970; the text itself where it could not be read as a time; None where none was given."""
LONGEST = 40
"""Characters of a time; what is longer is not one."""
_LATEST = 253_402_300_799
_EARLIEST = -62_135_596_800
_MILLISECONDS = 100_000_000_000
"""Seconds up to the year 5138: a larger number are milliseconds. Brevo documents these, and shows seconds too."""


def of(text: str) -> At:
    """Of seconds or milliseconds since 1970, also with a fraction, or of ISO 8601; without a zone it is UTC, for that
    is what providers that leave it out document.
    """
    text = text.strip()
    if not text or len(text) > LONGEST:
        return text[: LONGEST + 1] or None
    try:
        number = float(text)
    except ValueError:
        return _of_iso(text)
    seconds = number / 1000 if number > _MILLISECONDS else number
    return round(seconds * 1_000_000) if 0 <= seconds <= _LATEST else text


def _of_iso(text: str) -> int | str:
    try:
        moment = datetime.fromisoformat(_with_micros(text))
        found = fields.micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return text
    # Its zone may take it out of the years 1 to 9999.
    return found if _EARLIEST <= found // 1_000_000 <= _LATEST else text


def _with_micros(text: str) -> str:
    """Some write nanoseconds, which Python does not read."""
    head, point, rest = text.partition(".")
    if not point:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[:digits][:6]:0<6}{rest[digits:]}"
