"""Order and pages of the native query's rows."""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from postmeter.query.engine.query import Query, Resolution, Row
from postmeter.shared.http.fields import invalid
from postmeter.shared.text import quoting

Key = list[Any]
"""The values of the terms: numbers, texts."""


@dataclass(frozen=True)
class Term:
    """One field to sort by. kind: which part of a row it is; index: where in that part."""

    name: str
    descending: bool
    kind: str
    index: int = 0

    def __str__(self) -> str:
        return f"-{self.name}" if self.descending else self.name

    def value(self, row: Row) -> int | str | Decimal:
        """What of `row` is sorted by."""
        if self.kind == "timestamp":
            return int(row.start.timestamp())
        return row.keys[self.index] if self.kind == "dimension" else row.values[self.index]


def order(wanted: str | list[str], query: Query) -> list[Term]:
    """What to sort by: the caller's fields (`-` before one: descending), then timestamp and dimensions.

    So the order is total, and a page's last row has one place in it. Raises FieldRefused.
    """
    fields = {"timestamp": ("timestamp", 0)} if query.resolution is not Resolution.TOTAL else {}
    fields |= {name: ("dimension", i) for i, name in enumerate(query.dimensions)}
    tie_breakers = list(fields)
    fields |= {name: ("metric", i) for i, name in enumerate(query.metrics)}
    terms: list[Term] = []
    for text in [wanted] if isinstance(wanted, str) else wanted:
        name = text.removeprefix("-")
        if name not in fields:
            raise invalid("order_by", f"{quoting.quoted(name)} is not in the answer, which has {', '.join(fields)}")
        if any(term.name == name for term in terms):
            raise invalid("order_by", f"{name} is named twice")
        terms.append(Term(name, text.startswith("-"), *fields[name]))
    named = {term.name for term in terms}
    return terms + [Term(name, False, *fields[name]) for name in tie_breakers if name not in named]


def arrange(rows: list[Row], terms: list[Term]) -> list[Row]:
    """The rows in order."""
    for term in reversed(terms):
        rows = sorted(rows, key=term.value, reverse=term.descending)
    return rows


def cut(rows: list[Row], terms: list[Term], after: Key | None, limit: int) -> tuple[list[Row], Key | None]:
    """The page behind the sort key `after`, and the sort key of its last row if more rows follow."""

    def compare(a: Key, b: Key) -> int:
        for term, left, right in zip(terms, a, b, strict=True):
            if isinstance(left, Decimal) or isinstance(right, Decimal):
                left, right = Decimal(left), Decimal(right)  # money in a cursor is text
            if left != right:
                # A position's signature covers the query, so both sides of a term have one type.
                return (1 if left > right else -1) * (-1 if term.descending else 1)
        return 0

    def key(row: Row) -> Key:
        return [term.value(row) for term in terms]

    comparable = functools.cmp_to_key(compare)
    first = 0 if after is None else bisect.bisect_right(rows, comparable(after), key=lambda r: comparable(key(r)))
    page = rows[first : first + limit]
    if first + limit >= len(rows):
        return page, None
    return page, [str(value) if isinstance(value, Decimal) else value for value in key(page[-1])]
