"""Comma-separated values: RFC 4180, UTF-8, with a header."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from postmeter.query.exports.cells import cell
from postmeter.query.exports.columns import Row, Table


class CsvFile:
    """Writes a CSV file. An empty cell is no value, or an empty text."""

    def __init__(self, path: Path, table: Table) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow([column.name for column in table])

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._csv.writerows([cell(value) for value in row] for row in rows)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()
