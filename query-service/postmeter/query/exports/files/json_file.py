"""JSON lines: one object a row, every column in each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import msgspec

from postmeter.query.exports.files.columns import Row, Table, Value, instant


class JsonFile:
    """Writes JSON lines. Texts are as they were stored: JSON has no formulas."""

    def __init__(self, path: Path, table: Table) -> None:
        self._names = [column.name for column in table]
        self._encoder = msgspec.json.Encoder(decimal_format="number")
        self._file = path.open("wb")

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        objects = [dict(zip(self._names, map(_value, row), strict=True)) for row in rows]
        self._file.write(self._encoder.encode_lines(objects))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _value(value: Value) -> Value:
    if isinstance(value, datetime):
        return instant(value)
    return value.isoformat() if isinstance(value, date) else value
