"""SQL from `.sql` files: named, described queries.

A file holds queries that each start with two comment lines:

    -- name: fetch_message
    -- One line that says what it does and what its parameters are.

Numbers have names there: above its first query a file says which enums it uses, and when it is loaded
`{EventType.CLICKED}` becomes that member's number.

    -- numbers: postmeter.shared.stream.events.EventType
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from functools import partial
from importlib import import_module, resources
from itertools import dropwhile

_NAME = "\n-- name: "
_NUMBERS = "-- numbers: "
_NUMBER = re.compile(r"\{([A-Z][A-Za-z]*)\.([A-Z_]+)\}")
Enums = dict[str, type[IntEnum] | type[IntFlag]]


def name_of(statement: str) -> str:
    """The name of a query of `Queries`; empty for any other statement."""
    start, _, rest = statement[:200].partition("/* ")
    name, ends, _ = rest.partition(" */")
    return name if ends and not start else ""


class Queries:
    """The queries of one file, by name: `queries["fetch_message"]`. Raises KeyError for a number of unknown name."""

    def __init__(self, package: str, file: str) -> None:
        text = resources.files(package).joinpath(file).read_text()
        number = partial(_number, _enums(text))
        self._queries = {name: f"/* {name} */ {_NUMBER.sub(number, body.strip())}" for name, body in _parts(text)}

    def __getitem__(self, name: str) -> str:
        return self._queries[name]

    def names(self) -> list[str]:
        """All names, in the file's order."""
        return list(self._queries)


def _enums(text: str) -> Enums:
    """The enums that a file names, by their own name."""
    head = f"\n{text}".partition(_NAME)[0].split("\n")
    paths = [line.removeprefix(_NUMBERS).rpartition(".") for line in head if line.startswith(_NUMBERS)]
    return {name: getattr(import_module(module), name) for module, _, name in paths}


def _number(enums: Enums, found: re.Match[str]) -> str:
    return str(int(enums[found[1]][found[2]]))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """(name, statement) of each query."""
    for part in f"\n{text}".split(_NAME)[1:]:
        name, *lines = part.split("\n")
        yield name, "\n".join(dropwhile(lambda line: line.startswith("-- "), lines))
