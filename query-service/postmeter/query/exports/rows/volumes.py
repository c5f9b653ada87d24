"""How much an export will hold, from the rollups, and how to cut it into spans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Resolution, Scope
from postmeter.query.exports.order import Order

_EVENTS = (
    "sent",
    "delivered",
    "deferred",
    "bounced",
    "failed",
    "complained",
    "unsubscribed",
    "opens",
    "machine_opens",
    "clicks",
    "machine_clicks",
    "replies",
    "received",
)
LARGE = 500_000
"""Rows that are sorted by one statement, roughly; days with more are cut into hours."""
QUIET = timedelta(days=28)
"""The longest time that one statement reads where there is little."""
_HOURS = 24


@dataclass(frozen=True)
class Span:
    """[start, end) of the window and about how many rows lie in it."""

    start: datetime
    end: datetime
    rows: int


async def spans(engine: Engine, scope: Scope, order: Order) -> list[Span]:
    """The window in UTC days, busy ones in hours, quiet ones joined, ascending.

    Every statement of an export reads one of them.
    """
    query = Query(
        scope=scope,
        metrics=_EVENTS if order.type == "events" else ("sent",),
        start=order.start,
        end=order.end,
        filters={"campaign": tuple(order.campaign_ids)} if order.campaign_ids else {},
        resolution=Resolution.DAY,
    )
    found: list[Span] = []
    for row in await engine.rows(query):
        midnight, rows = row.start.astimezone(UTC), sum(row.values)
        parts = _HOURS if rows > LARGE else 1
        width = timedelta(days=1) / parts
        for part in range(parts):
            start = max(order.start, midnight + part * width)
            end = min(order.end, midnight + (part + 1) * width)
            if start < end:
                found.append(Span(start, end, rows // parts))
    return list(_joined(found))


def _joined(spans: list[Span]) -> Iterator[Span]:
    """Quiet neighbours as one: ten years of days would be thousands of statements."""
    if not spans:
        return
    last = spans[0]
    for span in spans[1:]:
        whole = Span(last.start, span.end, last.rows + span.rows)
        if whole.rows <= LARGE // 10 and whole.end - whole.start <= QUIET:
            last = whole
        else:
            yield last
            last = span
    yield last
