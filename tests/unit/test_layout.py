"""The shape of the house: services apart, no circles, modules and tests of a size that can be read (ADR 0001)."""

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = {
    "shared": "shared",
    "tracking": "tracking-service",
    "aggregator": "aggregator",
    "query": "query-service",
    "gateway": "gateway",
    "cli": "cli",
}


@cache
def nodes(file: Path) -> list[ast.AST]:
    """All of a file's syntax tree."""
    return list(ast.walk(ast.parse(file.read_text())))


def imports_of(file: Path) -> set[str]:
    names = set()
    for node in nodes(file):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("postmeter.")}


def test_no_file_hides_the_other_services() -> None:
    strays = [str(p) for folder in PARTS.values() for p in (ROOT / folder / "postmeter").glob("*.py")]
    assert strays == []


def test_each_part_is_typed() -> None:
    assert [p for p, folder in PARTS.items() if not (ROOT / folder / "postmeter" / p / "py.typed").exists()] == []


def test_services_import_only_what_is_shared() -> None:
    foreign = {}
    for part, folder in PARTS.items():
        allowed = {part, "shared"} if part != "cli" else set(PARTS)
        for file in (ROOT / folder).rglob("*.py"):
            if extra := imports_of(file) - allowed:
                foreign[str(file.relative_to(ROOT))] = extra
    assert foreign == {}


@cache
def imports() -> dict[str, set[str]]:
    """Of each module the modules of ours that it imports."""
    files = {
        ".".join(file.relative_to(ROOT / folder).with_suffix("").parts).removesuffix(".__init__"): file
        for folder in PARTS.values()
        for file in (ROOT / folder).rglob("*.py")
    }
    found: dict[str, set[str]] = {name: set() for name in files}
    for name, file in files.items():
        for node in nodes(file):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names} & set(files)
            elif isinstance(node, ast.ImportFrom) and node.module:
                meant = {f"{node.module}.{alias.name}" for alias in node.names}
                found[name] |= meant & set(files) if meant & set(files) else {node.module} & set(files)
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    """Nor for types alone, nor inside a function: each can be read after those that it builds on."""
    list(TopologicalSorter(imports()).static_order())  # raises CycleError with the circle


@pytest.mark.parametrize("part", [part for part in PARTS if part != "shared"])
def test_no_folders_of_a_service_import_each_other_in_a_circle(part: str) -> None:
    """What lies at a service's top puts the folders together, and what they all need (metrics, settings) lies there."""

    def folder(name: str) -> str | None:
        _, of, *parts = name.split(".")
        return parts[0] if of == part and len(parts) > 1 else None

    between: dict[str, set[str]] = {}
    for name, imported in imports().items():
        if (here := folder(name)) is not None:
            between.setdefault(here, set()).update({there for one in imported if (there := folder(one))} - {here})
    list(TopologicalSorter(between).static_order())


def test_modules_stay_small_enough_to_read() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for folder in PARTS.values()
        for file in (ROOT / folder).rglob("*.py")
        if (lines := len(file.read_text().splitlines())) > 400
    }
    assert long == {}


def test_what_is_to_be_touched_for_an_addition_is_listed_and_there() -> None:
    words = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
    text = (ROOT / "docs" / "architecture.md").read_text()
    lists = re.findall(
        r"^- \*\*(?:a|an) ([^*]+)\*\*[^:]*, (\w+) files?: (.+?)\.(?:\s|$)", text, re.MULTILINE | re.DOTALL
    )
    assert {name: words[number] for name, number, _ in lists} == {
        "counter of events": 3,
        "metric made of counters": 1,
        "dimension": 5,
        "API document": 4,
    }
    for name, number, listed in lists:
        files = set(re.findall(r"\]\((\.\./[^)]+)\)", listed))
        assert len(files) == words[number], name
        assert [file for file in files if not (ROOT / "docs" / file).exists()] == []


TESTS = sorted((ROOT / "tests").rglob("*.py"))


def imported_from_tests(file: Path) -> set[str]:
    """The modules below `tests` that a file may mean: what it imports from, and what it imports from there."""
    found = set()
    for node in nodes(file):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("tests.")}


def test_no_test_module_is_another_s_library() -> None:
    """What tests share is in modules that hold no test, where it is looked for."""
    modules = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in TESTS if file.name.startswith("test_")
    }
    found = {
        str(file.relative_to(ROOT)): borrowed for file in TESTS if (borrowed := imported_from_tests(file) & modules)
    }
    assert found == {}


def test_what_tests_share_says_what_it_gives() -> None:
    assert [str(file.relative_to(ROOT)) for file in TESTS if file.stem.endswith("_world")] == []


def test_tests_stay_small_enough_to_read() -> None:
    long = {str(f.relative_to(ROOT)): lines for f in TESTS if (lines := len(f.read_text().splitlines())) > 400}
    assert long == {}
