"""Columns of exported tables: names and kinds, the same in every format; and their values as texts.

No text that somebody else wrote becomes a formula of a spreadsheet (hostile-input.md 40).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

import msgspec

Value: TypeAlias = str | int | bool | Decimal | datetime | date | list[str] | None
Row: TypeAlias = tuple[Value, ...]
"""The values of one row in the order of its table's columns; None where there is none."""


class Kind(Enum):
    """What a column holds. TIME: an instant in UTC; RATE: percent, two decimals; TEXTS: several texts."""

    TEXT = "text"
    INTEGER = "integer"
    FLAG = "flag"
    RATE = "rate"
    TIME = "time"
    DAY = "day"
    TEXTS = "texts"


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    kind: Kind = Kind.TEXT


Table: TypeAlias = tuple[Column, ...]


def columns(kind: Kind, *names: str) -> Table:
    """Columns of one kind."""
    return tuple(Column(name, kind) for name in names)


# What spreadsheets take for the beginning of a formula, also in the full-width forms of East Asian input; what they
# skip before it: spaces, marks without a width, a cell's quotes; and behind what a cell may begin in the middle of a
# text, quoted or not, where a file is read with another separator than it was written with.
_FORMULA = r"=+\-@＝＋－＠"
_SKIPPED = r'\s\x00-\x1f\x7f\u180e\u200b-\u200f\u2060\ufeff"'
_SEPARATORS = frozenset(";|\t\r\n\v\f\x85\u2028\u2029")
_FIRST = re.compile(f"[{_SKIPPED}]*[{_FORMULA}]|[\t\r\n]")
_INNER = re.compile(f"([;|{_SKIPPED}]++)([{_FORMULA}]?)")


def neutral(text: str) -> str:
    """The text, with an apostrophe before all that a spreadsheet would take for the beginning of a formula."""
    safe = _INNER.sub(_guarded, text)
    return f"'{safe}" if _FIRST.match(text) else safe


def _guarded(run: re.Match[str]) -> str:
    return run[0] if not run[2] or _SEPARATORS.isdisjoint(run[1]) else f"{run[1]}'{run[2]}"


def instant(moment: datetime) -> str:
    """`2026-04-03T12:00:00.000000Z`: always of the same length, so that texts sort as times."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def chars(values: Iterable[object]) -> int:
    """Characters of the texts among these, about what they take in memory."""
    return sum(len(value) for value in values if isinstance(value, str))


def texts(several: list[str]) -> str:
    """Several texts as one: a JSON array, so that none of them can pass for two."""
    return msgspec.json.encode(several).decode()
