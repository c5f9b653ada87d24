"""SQL from `.sql` files: named, described queries.

A file holds queries that each start with two comment lines:

    -- name: fetch_message
    -- One line that says what it does and what its parameters are.
"""

from __future__ import annotations

import re
from importlib import resources

_QUERY = re.compile(r"^-- name: (\w+)\n((?:-- [^\n]*\n)+)(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


class Queries:
    """The queries of one file, by name: `queries["fetch_message"]`."""

    def __init__(self, package: str, file: str) -> None:
        text = resources.files(package).joinpath(file).read_text()
        self._queries = {name: f"/* {name} */ {body.strip()}" for name, _, body in _QUERY.findall(text)}

    def __getitem__(self, name: str) -> str:
        return self._queries[name]

    def names(self) -> list[str]:
        """All names, in the file's order."""
        return list(self._queries)
