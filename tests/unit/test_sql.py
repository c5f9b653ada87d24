"""Numbers in SQL have names, which are rendered when a file is loaded."""

import re
from pathlib import Path

import pytest

from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import EventType

ROOT = Path(__file__).parents[2]
FOLDERS = ("shared", "gateway", "tracking-service", "aggregator", "query-service", "cli")
STORED = re.compile(r"\b(?:flags|type|kind|verdict|state|bounce)\b\)* *(?:=|<>|>=|<=|>|<|&|>>) *~?\d")
"""Where a column that holds the number of something is compared with a bare one."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / f"sql_{tmp_path.name}"  # imported once for each test
    made.mkdir()
    (made / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    return made


def queries(folder: Path, condition: str) -> Queries:
    numbers = "-- numbers: postmeter.shared.stream.events.EventType"
    (folder / "one.sql").write_text(f"{numbers}\n\n-- name: one\n-- One.\nSELECT {condition}\n")
    return Queries(folder.name, "one.sql")


def test_a_name_becomes_the_number(folder: Path) -> None:
    rendered = queries(folder, "'{{}}', {values}, type = {EventType.CLICKED}")["one"]
    assert rendered == f"/* one */ SELECT '{{{{}}}}', {{values}}, type = {EventType.CLICKED.value}"


@pytest.mark.parametrize("name", ["{EventType.CLICKD}", "{Verdict.HUMAN}"])
def test_a_name_that_is_not_known_is_told_at_once(folder: Path, name: str) -> None:
    with pytest.raises(KeyError):
        queries(folder, name)


def test_no_query_has_a_bare_number() -> None:
    files = [file for place in FOLDERS for file in (ROOT / place).rglob("*.sql") if file.parent.name != "migrations"]
    assert len(files) > 40
    found = [f"{file.name}: {line}" for file in files for line in file.read_text().split("\n") if STORED.search(line)]
    assert found == []
