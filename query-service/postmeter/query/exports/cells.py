"""Values as cells of a spreadsheet; no text that somebody else wrote becomes a formula (ABUSE.md 40)."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from postmeter.query.exports.columns import Value

# What spreadsheets take for the beginning of a formula, also in the full-width forms of East Asian input.
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


def neutral(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text[:1] in _FORMULA else text


def instant(moment: datetime) -> str:
    """`2026-04-03T12:00:00.000000Z`: always as long, so that texts sort as times."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def cell(value: Value) -> str | int | Decimal:
    """The value as a cell of a text file. Numbers stay numbers; no value is the empty text."""
    match value:
        case None:
            return ""
        case str():
            return neutral(value)
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return value
        case datetime():
            return instant(value)
        case date():
            return value.isoformat()
        case list():
            return neutral(", ".join(value))
