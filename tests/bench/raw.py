"""The same answers computed from messages and events, by statements that know nothing of rollups."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import asyncpg

from postmeter.shared.storage.sql import Queries
from tests.bench.dataset import NUMBERS, Dataset

QUERIES = Queries("tests.bench", "raw.sql")
DAY = timedelta(days=1)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


class Raw:
    """Runs the statements. seconds: what they have taken."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], dataset: Dataset) -> None:
        self._connection = connection
        self.dataset = dataset
        self.seconds = 0.0

    async def rows(self, name: str, *arguments: object, **names: str) -> list[asyncpg.Record]:
        """Rows of a statement; its $1 is the workspace."""
        parts = {part: QUERIES[part].format(**NUMBERS) for part in ("facts", "counts")}
        sql = QUERIES[name].format(**NUMBERS, **parts, **names)
        began = time.perf_counter()
        rows = await self._connection.fetch(sql, self.dataset.workspace, *arguments)
        self.seconds += time.perf_counter() - began
        return rows


def moment(text: str) -> datetime:
    """A printed time, as UTC."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def quarter(text: str) -> datetime:
    """The quarter-hour in which a printed time lies."""
    found = moment(text)
    return found.replace(minute=found.minute // 15 * 15, second=0, microsecond=0)


def through(window: dict[str, str], start: str = "start", end: str = "end") -> tuple[datetime, datetime]:
    """A printed window whose end is its last second."""
    return moment(window[start]), moment(window[end]) + timedelta(seconds=1)


def picked(row: Any, names: Iterable[str]) -> tuple[int, ...]:
    """These columns or fields, as numbers."""
    return tuple(int(row[name]) for name in names)


def rate(part: int, whole: int, decimals: int) -> float:
    """part / whole as it is printed: half-up."""
    scaled = Fraction(part, whole) * 10**decimals if whole else Fraction(0)
    return float(Fraction((scaled + Fraction(1, 2)).__floor__(), 10**decimals))


def health(week: list[tuple[int, ...]], sent_before: int) -> int:
    """health_score of (sent, delivered, hard, complained, unsubscribed) of seven days (semantics.md)."""
    sent, delivered, hard, complained, unsubscribed = (sum(column) for column in zip(*week, strict=True))
    if not sent:
        return 100

    def penalty(share: Fraction, low: Fraction, high: Fraction) -> Fraction:
        return 100 * min(Fraction(1), max(Fraction(0), (share - low) / (high - low)))

    def of(part: int, whole: int) -> Fraction:
        return Fraction(part, whole) if whole else Fraction(0)

    percent = Fraction(1, 100)
    lost = (
        penalty(of(hard, sent), 2 * percent, 10 * percent) * 35 * percent
        + penalty(of(complained, delivered), percent / 10, percent / 2) * 35 * percent
        + penalty(of(unsubscribed, delivered), percent, 5 * percent) * 15 * percent
        + penalty(1 - of(sent, sent_before) if sent_before else Fraction(0), 50 * percent, Fraction(1)) * 15 * percent
    )
    return (100 - lost + Fraction(1, 2)).__floor__()
