"""Parquet files with typed columns. Needs the extra `parquet`."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from postmeter.query.exports.failures import ExportFailed
from postmeter.query.exports.files.columns import Kind, Row, Table, chars

GROUP = 20_000
"""Rows of a row group; as many are held in memory."""
GROUP_CHARS = 8 << 20
"""Characters of their texts, beyond which a group is full."""
MISSING = (
    "parquet is not installed on this server (its operator can: pip install 'postmeter[parquet]',"
    " in a clone ./postmeter extras); choose csv, json or xlsx"
)


def is_installed() -> bool:
    """Whether such files can be made here. It loads nothing: pyarrow takes half a second and 40 MB."""
    return importlib.util.find_spec("pyarrow") is not None


class ParquetFile:
    """Writes a Parquet file. Texts are as they were stored: Parquet has no formulas."""

    def __init__(self, path: Path, table: Table) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise ExportFailed(MISSING) from None
        self._arrow = pyarrow
        types = _types(pyarrow)
        self._schema = pyarrow.schema([(column.name, types[column.kind]) for column in table])
        self._file = path.open("wb")
        self._parquet = pyarrow.parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        self._rows: list[Row] = []
        self._chars = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._rows.extend(rows)
        self._chars += sum(map(chars, rows))
        if len(self._rows) >= GROUP or self._chars > GROUP_CHARS:
            self._flush()

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._parquet.close()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            arrays = [
                self._arrow.array(values, type=field.type)
                for values, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
            ]
            self._parquet.write_batch(self._arrow.record_batch(arrays, schema=self._schema))
            self._rows.clear()
            self._chars = 0


def _types(arrow: Any) -> dict[Kind, Any]:
    return {
        Kind.TEXT: arrow.string(),
        Kind.INTEGER: arrow.int64(),
        Kind.FLAG: arrow.bool_(),
        Kind.RATE: arrow.decimal128(18, 2),
        Kind.TIME: arrow.timestamp("us", tz="UTC"),
        Kind.DAY: arrow.date32(),
        Kind.TEXTS: arrow.list_(arrow.string()),
    }
