"""Excel workbooks: real dates and numbers, every text as a text, further sheets where one is full."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter

from postmeter.query.exports.files.columns import Kind, Row, Table, Value, neutral, texts

MAX_ROWS = 1_048_575
"""Rows that a sheet takes below its header."""
MAX_TEXT = 32_767
"""Characters that a cell takes."""
_FORMATS = {Kind.TIME: "yyyy-mm-dd hh:mm:ss.000", Kind.DAY: "yyyy-mm-dd", Kind.RATE: "0.00"}
_FIRST_YEAR = 1900


class _Target(io.BufferedWriter):
    """The file that a zip archive is written to. Once given up it takes everything and writes nothing: an archive that
    could not be written finishes itself when it is collected, and would complain once more then.
    """

    is_given_up = False
    _place = 0

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "w"))

    def give_up(self) -> None:
        """Close the file, however much of it is there."""
        self.is_given_up = True
        with suppress(OSError):
            self.close()

    def write(self, buffer: Any, /) -> int:
        return len(buffer) if self.is_given_up else super().write(buffer)

    def seek(self, target: int, whence: int = 0, /) -> int:
        self._place = target
        return target if self.is_given_up else super().seek(target, whence)

    def tell(self) -> int:
        return self._place if self.is_given_up else super().tell()

    def flush(self) -> None:
        if not self.is_given_up:
            super().flush()


class XlsxFile:
    """Writes a workbook, a row at a time. Times are UTC: Excel knows no zones."""

    def __init__(self, path: Path, table: Table) -> None:
        # Strings stay in the rows that have them, and rows go to temporary files beside the workbook.
        self._path = path
        self._book = xlsxwriter.Workbook(
            path, {"constant_memory": True, "tmpdir": str(path.parent), "remove_timezone": True}
        )
        self._book.use_zip64()
        formats = {kind: self._book.add_format({"num_format": text}) for kind, text in _FORMATS.items()}
        self._formats = [formats.get(column.kind) for column in table]
        self._bold = self._book.add_format({"bold": True})
        self._table = table
        self._add_sheet()

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        for row in rows:
            if self._used > MAX_ROWS:
                self._add_sheet()
            for place, value in enumerate(row):
                if value is not None:
                    self._cell(place, value)
            self._used += 1

    def close(self) -> None:
        """Finish the file. Raises OSError."""
        file = self._book.filename = _Target(self._path)
        try:
            self._book.close()
            file.close()
        except xlsxwriter.exceptions.FileCreateError as error:
            # It holds the operating system's own error.
            raise error.args[0] from None
        finally:
            if not file.closed:
                file.give_up()

    def _add_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        for place, column in enumerate(self._table):
            self._sheet.write_string(0, place, column.name, self._bold)
        self._used = 1

    def _cell(self, place: int, value: Value) -> None:
        form = self._formats[place]
        match value:
            case bool():
                self._sheet.write_boolean(self._used, place, value, form)
            case int() | Decimal():
                self._sheet.write_number(self._used, place, value, form)
            case datetime() if value.year > _FIRST_YEAR:
                self._sheet.write_datetime(self._used, place, value.astimezone(UTC), form)
            case date() if value.year > _FIRST_YEAR and not isinstance(value, datetime):
                self._sheet.write_datetime(self._used, place, value, form)
            case list():
                self._text(place, texts(value))
            case _:
                self._text(place, str(value))

    def _text(self, place: int, text: str) -> None:
        # write_string makes neither formulas nor links; what is copied from the sheet elsewhere may become one.
        self._sheet.write_string(self._used, place, neutral(text)[:MAX_TEXT])
