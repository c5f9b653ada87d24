"""SQL from `.sql` files: named, described queries.

A file holds queries that each start with two comment lines:

    -- name: fetch_message
    -- One line that says what it does and what its parameters are.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from itertools import dropwhile

_NAME = "\n-- name: "


def name_of(statement: str) -> str:
    """The name of a query of `Queries`; empty for any other statement."""
    start, _, rest = statement[:200].partition("/* ")
    name, ends, _ = rest.partition(" */")
    return name if ends and not start else ""


class Queries:
    """The queries of one file, by name: `queries["fetch_message"]`."""

    def __init__(self, package: str, file: str) -> None:
        text = resources.files(package).joinpath(file).read_text()
        self._queries = {name: f"/* {name} */ {body.strip()}" for name, body in _parts(text)}

    def __getitem__(self, name: str) -> str:
        return self._queries[name]

    def names(self) -> list[str]:
        """All names, in the file's order."""
        return list(self._queries)


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """(name, statement) of each query."""
    for part in f"\n{text}".split(_NAME)[1:]:
        name, *lines = part.split("\n")
        yield name, "\n".join(dropwhile(lambda line: line.startswith("-- "), lines))
