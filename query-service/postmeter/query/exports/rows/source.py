"""Where an export's rows come from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Scope
from postmeter.query.exports.files.columns import Row, Table
from postmeter.query.exports.order import Order
from postmeter.shared.storage.postgres import Pool

BATCH = 2_000
"""Rows that are in memory at once."""
BATCH_CHARS = 2 << 20
"""Characters of all their texts, about: the URL of a click may have 8,192, of four bytes each."""
AHEAD = 250
"""Rows that the database gives at once: however long they are, they are there before anybody counts."""


@dataclass(frozen=True)
class RowBatch:
    """Some rows. done: how much of the export is done with them, 0 to 1."""

    rows: Sequence[Row]
    done: float


@dataclass(frozen=True)
class RowReading:
    """What a source reads by: scope and order decide what may be seen and what is wanted."""

    pool: Pool
    engine: Engine
    scope: Scope
    order: Order


@dataclass(frozen=True)
class RowSource:
    """The rows of one export type. An export without any row has insufficient data."""

    table: Table
    read: Callable[[RowReading], AsyncGenerator[RowBatch, None]]
