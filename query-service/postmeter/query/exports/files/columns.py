"""Columns of exported tables: names and kinds, the same in every format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

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
