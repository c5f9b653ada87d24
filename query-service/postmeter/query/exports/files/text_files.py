"""Files of text: comma-separated values, and JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from postmeter.query.exports.files.columns import Row, Table, Value, instant, neutral, texts


class CsvFile:
    """Comma-separated values: RFC 4180, UTF-8, with a header.

    Every text is in quotes. A field with nothing in it has no value, two quotes are an empty text.
    The standard library's writer could quote all texts only together with what has no value at all.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._file.write(",".join(column.name for column in table) + "\r\n")

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._file.writelines(",".join(map(_csv_field, row)) + "\r\n" for row in rows)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _csv_field(value: Value) -> str:
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


class JsonFile:
    """JSON lines: one object a row, every column in each. Texts are as they were stored: JSON has no formulas."""

    def __init__(self, path: Path, table: Table) -> None:
        self._names = [column.name for column in table]
        self._encoder = msgspec.json.Encoder(decimal_format="number")
        self._file = path.open("wb")

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        objects = [dict(zip(self._names, map(_json_value, row), strict=True)) for row in rows]
        self._file.write(self._encoder.encode_lines(objects))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _json_value(value: Value) -> Value:
    if isinstance(value, datetime):
        return instant(value)
    return value.isoformat() if isinstance(value, date) else value
