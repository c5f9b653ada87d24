"""The formats that exports come in: one writer each, fed batch by batch, all with the same columns.

A writer is used by one thread at a time and holds a batch in memory, not the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from postmeter.query.exports.files import parquet_file
from postmeter.query.exports.files.columns import Row, Table
from postmeter.query.exports.files.parquet_file import ParquetFile
from postmeter.query.exports.files.text_files import CsvFile, JsonFile
from postmeter.query.exports.files.xlsx_file import XlsxFile


class Writer(Protocol):
    """A file that is being written."""

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""

    def close(self) -> None:
        """Finish the file."""


@dataclass(frozen=True)
class Format:
    """open: makes the writer of a file with these columns; beside the file it may use its folder."""

    extension: str
    media: str
    open: Callable[[Path, Table], Writer]


FORMATS = {
    "csv": Format("csv", "text/csv; charset=utf-8", CsvFile),
    "json": Format("jsonl", "application/x-ndjson", JsonFile),
    "xlsx": Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", XlsxFile),
    "parquet": Format("parquet", "application/vnd.apache.parquet", ParquetFile),
}


def available() -> list[str]:
    """The names of those that can be made here."""
    return [name for name in FORMATS if name != "parquet" or parquet_file.is_installed()]
