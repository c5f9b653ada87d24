"""Every regular expression of the product, and what it is used for; and what it must not use in place of one."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# What becomes a regular expression or a matcher where nobody looks for one.
HIDDEN = frozenset({"fnmatch", "glob", "regex", "sre_parse", "sre_compile", "re2", "difflib", "shlex"})
OPERATORS = frozenset({"postmeter.cli.setting_names"})
"""Modules that look at what whoever runs the product has set, and at nothing else."""
METHODS = {"match", "fullmatch", "search", "sub", "subn", "finditer", "findall", "split", "scanner"}


class Use(IntEnum):
    """How a pattern meets a text, the harmless first."""

    MATCH = 0
    """match: at one position."""
    ANCHORED = 1
    """fullmatch: at one position, to the text's end."""
    SEARCH = 2
    """search: at each position until one fits."""
    EVERYWHERE = 3
    """sub, finditer, split: search again and again; also what nobody knows."""


_USES = {"match": Use.MATCH, "fullmatch": Use.ANCHORED, "search": Use.SEARCH}


class Found(NamedTuple):
    """One pattern of the product. place: `module.NAME`."""

    place: str
    pattern: re.Pattern[Any]
    use: Use


def modules() -> Iterator[tuple[str, ast.Module]]:
    """(dotted name, syntax tree) of each module of the product."""
    for service in sorted(ROOT.glob("*/postmeter/*")):
        for path in sorted(service.rglob("*.py")):
            parts = path.relative_to(service.parents[1]).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, ast.parse(path.read_text())


def patterns() -> list[Found]:
    """All of them."""
    return patterns_of(dict(modules()))


def patterns_of(trees: dict[str, ast.Module]) -> list[Found]:
    """Those of some modules. Fails for one that cannot be looked at: compile patterns at the top of a module."""
    uses = _uses(trees)
    found = list[Found]()
    for name, tree in trees.items():
        wanted = sum(_is_call(node, "compile") for node in ast.walk(tree))
        here = list(_compiled(name, tree, uses)) if wanted else []
        assert len({item.place.partition("[")[0] for item in here}) >= wanted, f"{name}: a pattern within a function"
        found += [*here, *_immediate(name, tree)]
    return found


def hidden() -> list[str]:
    """Imports and arguments that bring in patterns that `patterns` does not see."""
    return [found for name, tree in modules() if name not in OPERATORS for found in hidden_in(name, tree)]


def hidden_in(name: str, tree: ast.Module) -> list[str]:
    """Those of one module."""
    found = list[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"{name}: {alias.name}" for alias in node.names if alias.name.split(".")[0] in HIDDEN]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in HIDDEN | {"re"}:
            found.append(f"{name}: from {node.module}")
        elif _is_meta_with_pattern(node):
            found.append(f"{name}: a pattern that msgspec checks")
    return found


def _is_meta_with_pattern(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return called == "Meta" and any(keyword.arg == "pattern" for keyword in node.keywords)


def _is_call(node: ast.AST, *names: str) -> bool:
    """Whether the node is `re.NAME(...)`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in names
    )


def _compiled(module: str, tree: ast.Module, uses: dict[str, Use]) -> Iterator[Found]:
    """What stands at the top of a module, as it really is; several of a container by index or key."""
    for statement in tree.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or not any(
            _is_call(node, "compile") for node in ast.walk(statement)
        ):
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        assert isinstance(target, ast.Name), f"{module}:{statement.lineno}: give each pattern a name"
        value = getattr(importlib.import_module(module), target.id)
        key = f"{module}.{target.id}" if target.id.startswith("_") else target.id
        use = uses.get(key, Use.EVERYWHERE)
        for place, pattern in _of(f"{module}.{target.id}", value):
            yield Found(place, pattern, use)


def _of(place: str, value: Any) -> Iterator[tuple[str, re.Pattern[Any]]]:
    if isinstance(value, re.Pattern):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _of(f"{place}[{key!r}]", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _of(f"{place}[{index}]", inner)


def _immediate(module: str, tree: ast.Module) -> Iterator[Found]:
    """`re.search("...", text)` and its like, whose pattern must be written there."""
    for node in ast.walk(tree):
        if _is_call(node, *METHODS):
            assert isinstance(node, ast.Call)
            assert isinstance(node.func, ast.Attribute)
            place = f"{module}:{node.lineno}"
            assert isinstance(node.args[0], ast.Constant), f"{place}: a pattern made at run time"
            text: Any = node.args[0].value
            yield Found(place, re.compile(text), _USES.get(node.func.attr, Use.EVERYWHERE))


def _uses(trees: dict[str, ast.Module]) -> dict[str, Use]:
    """The worst that is done with each name, of private ones within their module; what is handed on may be anything."""
    uses = dict[str, Use]()
    for module, tree in trees.items():
        called = {
            id(node.value): _USES.get(node.attr, Use.EVERYWHERE)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in METHODS
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and id(node) in called:
                called[id(node.value)] = called[id(node)]  # TABLE[key].search(text)
        for node in ast.walk(tree):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
            if name is None or not isinstance(getattr(node, "ctx", None), ast.Load):
                continue
            use = called.get(id(node), Use.EVERYWHERE)
            key = f"{module}.{name}" if name.startswith("_") else name
            uses[key] = max(uses.get(key, Use.MATCH), use)
    return uses
