"""Errors: every one that is raised on purpose stands in one tree, and every code in one list that people can read."""

import ast
import re
from pathlib import Path

from postmeter.shared import errors
from postmeter.shared.apis.codes import CODES

ROOT = Path(__file__).parents[2]
PRODUCT = [path for path in ROOT.glob("*/postmeter/**/*.py") if "site" not in path.parts]
BUILT_IN = {"Exception", "BaseException", "ValueError", "RuntimeError", "OSError", "LookupError"}
NO_ERROR = {"StopRequested"}
"""A signal has come."""
PRIVATE = {"_Changed", "_Full"}
"""Known to one module alone."""


def raised() -> dict[str, set[str]]:
    """The product's own exception classes, and what each is made of."""
    trees = [ast.parse(path.read_text()) for path in PRODUCT]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found: dict[str, set[str]] = {}
    known: set[str] = set()
    while known != (known := {*BUILT_IN, *found}):
        for one in classes:
            bases = {ast.unparse(base).rpartition(".")[2] for base in one.bases}
            if bases & known:
                found.setdefault(one.name, set()).update(bases)
    return found


def test_every_error_of_ours_stands_in_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = set(re.findall(r"\b[A-Z][A-Za-z]+\b", errors.__doc__.partition("PostmeterError\n")[2]))
    found = raised()
    assert len(found) > 40
    ours = found.keys() - NO_ERROR - PRIVATE - {"PostmeterError"}
    assert ours - drawn == set(), "not drawn"
    assert {name for name in ours if not found[name] & {"PostmeterError", *ours}} == set(), "no PostmeterError"


def test_every_code_that_is_used_is_listed_and_told() -> None:
    told = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/api/errors.md").read_text(), re.MULTILINE))
    assert told == set(CODES)
    # mypy holds every RequestError against the list; what is in it and never used would be told in vain.
    text = "".join(path.read_text() for path in PRODUCT if path.name != "codes.py")
    assert {code for code in CODES if f'"{code}"' not in text} == set()
