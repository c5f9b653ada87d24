"""Comma-separated values: RFC 4180, UTF-8, with a header. Every text is in quotes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from postmeter.query.exports.files.columns import Row, Table, Value, instant, neutral, texts


class CsvFile:
    """Writes a CSV file. A field with nothing in it has no value, two quotes are an empty text.

    The standard library's writer could quote all texts only together with what has no value at all.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._file.write(",".join(column.name for column in table) + "\r\n")

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._file.writelines(",".join(map(_field, row)) + "\r\n" for row in rows)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _field(value: Value) -> str:
    """Numbers, flags and times are as they are: nothing in them needs quotes."""
    match value:
        case None:
            return ""
        case str():
            return _quoted(value)
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case datetime():
            return instant(value)
        case date():
            return value.isoformat()
        case list():
            return _quoted(texts(value))


def _quoted(text: str) -> str:
    return '"' + neutral(text).replace('"', '""') + '"'
