"""Each format, read back by somebody else's reader; formulas; sheets that are full; memory."""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from postmeter.query.exports.files import parquet_file, xlsx_file
from postmeter.query.exports.files.columns import Column, Kind, Row, neutral
from postmeter.query.exports.files.formats import FORMATS
from postmeter.query.exports.production import SOURCES
from tests.integration.export_service import Api, exporting, message, noon
from tests.integration.running_query import sealed

TABLE = (
    Column("text"),
    Column("count", Kind.INTEGER),
    Column("flag", Kind.FLAG),
    Column("rate", Kind.RATE),
    Column("at", Kind.TIME),
    Column("on", Kind.DAY),
    Column("tags", Kind.TEXTS),
)
AT = datetime(2026, 4, 3, 12, 0, 0, 250_000, UTC)
EVIL = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠a",
    '=HYPERLINK("http://e.example")',
    " =1",
    "\ufeff=1",
    "\u00a0\u200b+1",
    '"=1',
]
INNER = {
    "Hello;=HYPERLINK(A1)": "Hello;'=HYPERLINK(A1)",
    'Hello;"=1;x': "Hello;\"'=1;x",
    "a|\ufeff +1": "a|\ufeff '+1",
    "a\n\n@x": "a\n\n'@x",
}
"""What becomes a formula where a spreadsheet's separator is another one."""
ROWS: list[Row] = [
    ('plain, with "quotes"\r\nand lines', 7, True, Decimal("98.00"), AT, date(2026, 4, 3), ["a", "b"]),
    ("", -5, False, Decimal("0.25"), AT, date(2026, 4, 3), []),
    ("https://shop.example/ünï", 0, None, Decimal(0), None, None, ["=x"]),
    (None, None, None, None, None, None, None),
    *[(text, -1, None, Decimal("-0.5"), None, None, [text]) for text in EVIL],
]


def written(name: str, folder: Path, rows: list[Row] = ROWS) -> Path:
    form = FORMATS[name]
    path = folder / f"file.{form.extension}"
    writer = form.open(path, TABLE)
    for start in range(0, len(rows), 3):
        writer.write(rows[start : start + 3])
    writer.close()
    return path


def test_csv_is_what_rfc_4180_says(tmp_path: Path) -> None:
    content = written("csv", tmp_path).read_bytes()
    assert content.startswith(b"text,count,flag,rate,at,on,tags\r\n")
    assert content.endswith(b"\r\n")
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    assert header == [column.name for column in TABLE]
    assert rows[0] == [ROWS[0][0], "7", "true", "98.00", "2026-04-03T12:00:00.250000Z", "2026-04-03", '["a","b"]']
    assert rows[1] == ["", "-5", "false", "0.25", "2026-04-03T12:00:00.250000Z", "2026-04-03", "[]"]
    assert rows[2] == ["https://shop.example/ünï", "0", "", "0", "", "", '["=x"]']
    assert rows[3] == [""] * 7
    for row, text in zip(rows[4:], EVIL, strict=True):
        assert (row[0], row[1], row[3], json.loads(row[6])) == (neutral(text), "-1", "-0.5", [text])
        assert row[0].startswith("'")


def test_csv_tells_no_value_from_an_empty_text_and_quotes_every_text(tmp_path: Path) -> None:
    rows: list[Row] = [("", None, None, None, None, None, []), (None, 1, True, Decimal("0.5"), AT, AT.date(), ["a"])]
    lines = written("csv", tmp_path, rows).read_bytes().split(b"\r\n")
    assert lines[1:3] == [
        b'"",,,,,,"[]"',
        b',1,true,0.5,2026-04-03T12:00:00.250000Z,2026-04-03,"[""a""]"',
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_spreadsheet_finds_a_formula_whatever_its_separator(tmp_path: Path, separator: str) -> None:
    hostile = [f"x{between}{text}{between}y" for text in EVIL for between in ("", *";|\t\n\r,", ';"', "; ", ';\ufeff"')]
    path = tmp_path / "file.csv"
    writer = FORMATS["csv"].open(path, (Column("id"), Column("text"), Column("tags", Kind.TEXTS)))
    writer.write([("id", text, [text]) for text in [*hostile, *EVIL, *INNER]])
    writer.close()
    with path.open(encoding="utf-8", newline="") as file:
        next(file)
        cells = [cell for row in csv.reader(file, delimiter=separator) for cell in row]
    assert len(cells) > len(hostile)
    assert [cell for cell in cells if cell.lstrip(' \t\r\n\xa0\u200b\ufeff"')[:1] in {*"=+-@＝＋－＠"}] == []


def test_what_begins_a_cell_in_the_middle_of_a_text_is_neutral_too() -> None:
    assert {text: neutral(text) for text in INNER} == INNER
    for harmless in ("a - b", "Mozilla/5.0 (X11; Linux)", "a=1;b=2", "x@example.com", "50 % - now", "https://a/?b=-1"):
        assert neutral(harmless) == harmless


def test_a_long_run_of_separators_takes_no_long_time() -> None:
    assert neutral("\t" * 1_000_000) == "'" + "\t" * 1_000_000


def test_json_is_one_object_a_line_and_leaves_texts_as_they_are(tmp_path: Path) -> None:
    content = written("json", tmp_path).read_bytes()
    lines = content.split(b"\n")
    assert lines.pop() == b""
    rows = [json.loads(line, parse_float=Decimal) for line in lines]
    assert [list(row) for row in rows] == [[column.name for column in TABLE]] * len(ROWS)
    assert rows[0] == {
        "text": ROWS[0][0],
        "count": 7,
        "flag": True,
        "rate": Decimal("98.00"),
        "at": "2026-04-03T12:00:00.250000Z",
        "on": "2026-04-03",
        "tags": ["a", "b"],
    }
    assert set(rows[3].values()) == {None}
    assert [row["text"] for row in rows[4:]] == EVIL


def test_xlsx_has_real_dates_and_numbers_and_no_formulas(tmp_path: Path) -> None:
    path = written("xlsx", tmp_path)
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    header, *rows = sheet.iter_rows()
    assert [cell.value for cell in header] == [column.name for column in TABLE]
    first = [cell.value for cell in rows[0]]
    assert unescape(first[0]) == ROWS[0][0]
    assert first[1:] == [7, True, 98, AT.replace(tzinfo=None), datetime(2026, 4, 3), '["a","b"]']  # noqa: DTZ001
    assert rows[2][0].value == "https://shop.example/ünï"
    assert [cell.value for cell in rows[3]] == [None] * 7
    for row, text in zip(rows[4:], EVIL, strict=True):
        assert (row[0].data_type, row[1].data_type, row[1].value, row[3].value) == ("s", "n", -1, -0.5)
        assert unescape(row[0].value) == neutral(text)
    with zipfile.ZipFile(path) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"<f>" not in content
    assert b"<hyperlink" not in content


def test_a_full_sheet_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_file, "MAX_ROWS", 10)
    rows: list[Row] = [(f"row {n}", n, None, None, None, None, None) for n in range(25)]
    book = openpyxl.load_workbook(written("xlsx", tmp_path, rows), read_only=True)
    sheets = [[row[1] for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets]
    assert sheets == [["count", *range(10)], ["count", *range(10, 20)], ["count", *range(20, 25)]]
    book.close()


def test_a_text_longer_than_a_cell_is_cut_and_not_left_out(tmp_path: Path) -> None:
    rows: list[Row] = [("x" * 40_000, 1, None, None, None, None, None)]
    sheet = openpyxl.load_workbook(written("xlsx", tmp_path, rows)).active
    assert sheet is not None
    assert sheet["A2"].value == "x" * 32_767


def test_parquet_is_typed_and_exact(tmp_path: Path) -> None:
    table = pyarrow.parquet.read_table(written("parquet", tmp_path))
    assert [str(field.type) for field in table.schema] == [
        "string",
        "int64",
        "bool",
        "decimal128(18, 2)",
        "timestamp[us, tz=UTC]",
        "date32[day]",
        "list<element: string>",
    ]
    assert [tuple(row.values()) for row in table.to_pylist()] == ROWS


def test_a_large_parquet_file_is_written_in_groups(tmp_path: Path) -> None:
    rows: list[Row] = [(str(n), n, None, None, None, None, None) for n in range(45_000)]
    path = tmp_path / "large.parquet"
    writer = FORMATS["parquet"].open(path, TABLE)
    for start in range(0, len(rows), 2_000):
        writer.write(rows[start : start + 2_000])
    writer.close()
    assert pyarrow.parquet.ParquetFile(path).metadata.num_row_groups == 3
    assert pyarrow.parquet.read_table(path)["count"].to_pylist() == list(range(45_000))


def test_rows_of_long_texts_are_written_in_smaller_groups(tmp_path: Path) -> None:
    """A click's URL has 32 KB of memory; 20,000 of them would have 650 MB, and as much again to be encoded."""
    path = tmp_path / "long.parquet"
    writer = FORMATS["parquet"].open(path, TABLE)
    for n in range(5):
        writer.write([("x" * parquet_file.GROUP_CHARS, n, None, None, None, None, None)] * 2)
    writer.close()
    assert pyarrow.parquet.ParquetFile(path).metadata.num_row_groups == 5


@given(st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from('=+-@;|\t\r\n "\ufeff')), max_size=8))
def test_no_text_begins_as_a_formula_and_apostrophes_are_all_that_is_added(text: str) -> None:
    safe = neutral(text)
    assert safe[:1] not in {*"=+-@\t\r\n＝＋－＠"}
    assert neutral(safe) == safe
    kept = iter(safe)
    assert all(character in kept for character in text)
    assert safe.replace("'", "") == text.replace("'", "")


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with exporting(postgres_dsn, redis_url, tmp_path) as made:
        yield made


async def test_every_format_of_every_type_holds_the_same_rows(api: Api) -> None:
    await message(api.here, api.workspace, at=noon(2), subject="=cmd|' /C calc'!A0", url="https://e.example/?a=1")
    await message(api.here, api.workspace, at=noon(1), subject="+1", user_agent="@x")
    for export_type in ("messages", "events", "campaign_performance", "overview", "deliverability"):
        expected = _json(await api.file(export_type=export_type, format="json", include_time_series=True))
        parquet = await api.file(export_type=export_type, format="parquet", include_time_series=True)
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(parquet))
        assert [{n: _plain(v) for n, v in row.items()} for row in table.to_pylist()] == expected
        xlsx = await api.file(export_type=export_type, format="xlsx", include_time_series=True)
        sheet = openpyxl.load_workbook(io.BytesIO(xlsx)).active
        assert sheet is not None
        header, *rows = sheet.iter_rows(values_only=True)
        assert list(header) == list(expected[0])
        assert len(rows) == len(expected)
        cells = await api.rows(export_type=export_type, include_time_series=True)
        assert [list(row) for row in cells] == [list(row) for row in expected]
        if export_type == "messages":
            place = list(header).index("subject")
            assert [row[place] for row in rows] == ["'=cmd|' /C calc'!A0", "'+1"] == [r["subject"] for r in cells]
            assert [row["subject"] for row in expected] == ["=cmd|' /C calc'!A0", "+1"]


def _json(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in content.splitlines()]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


async def formats(api: Api) -> Any:
    headers = sealed(api.workspace, workspace_id=api.name, **api.role)
    async with api.session.get(f"{api.url}/v1/exports", headers=headers) as answer:
        return (await answer.json())["formats"]


async def test_a_server_without_parquet_says_so_when_it_is_ordered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await formats(api) == ["csv", "json", "xlsx", "parquet"]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert await formats(api) == ["csv", "json", "xlsx"]
    status, answer = await api.ask("POST", "/export", {"export_type": "messages", "format": "parquet"})
    assert (status, answer["error"]["code"]) == (400, "INVALID_PARAMETER")
    assert answer["error"]["message"].startswith("format: parquet is not installed on this server")
    assert "choose csv, json or xlsx" in answer["error"]["message"]
    assert await api.here.pool.fetchval("SELECT count(*) FROM export") == 0


async def test_what_another_server_took_fails_where_parquet_is_missing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await message(api.here, api.workspace)
    monkeypatch.setattr(parquet_file, "is_installed", lambda: True)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    reason = await api.failed(export_type="messages", format="parquet")
    assert reason.startswith("parquet is not installed on this server")
    assert await api.counted("retried") == 0


@pytest.mark.parametrize("export_type", list(SOURCES))
def test_the_documentation_has_every_column_in_its_order(export_type: str) -> None:
    text = Path("docs/api/exports.md").read_text().partition("## The columns")[2]
    start = re.search(rf"^`{export_type}`[;,]", text, re.MULTILINE)
    assert start is not None
    tables = [line.split("|")[1] for line in text[start.end() :].lstrip().split("\n\n")[1].splitlines()[2:]]
    assert re.findall(r"`(\w+)`", " ".join(tables)) == [column.name for column in SOURCES[export_type].table]


def test_services_start_without_the_extras() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['pyarrow', 'obstore'])); import postmeter.query.service;"
        " assert not any(name.startswith(('obstore.', 'pyarrow.')) for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
