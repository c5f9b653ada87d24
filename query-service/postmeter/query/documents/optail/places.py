"""Where a page of the message list lies: found by counts, so that no message before it has to be read.

Messages are counted by the time of their creation under their present state (rollups.CREATED). From the newest
day on the counts say in which days the page lies, in these days in which quarter-hours, in these in which seconds; only
messages of those seconds are read. A page holds few messages, so at each width few spans hold some of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import CREATED, TOTAL, Tier, added
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import State

_QUERIES = Queries("postmeter.query.documents.optail", "optail.sql")


@dataclass(frozen=True)
class Selection:
    """Which messages are listed: of one workspace, in `states` (None: any), of `series` (None: any)."""

    workspace: int
    states: tuple[State, ...] | None
    series: list[int] | None


@dataclass(frozen=True)
class Span:
    """[low, high), in which `n` > 0 of the chosen messages were created."""

    low: datetime
    high: datetime
    n: int


@dataclass(frozen=True)
class Place:
    """The page begins after the first `skip` messages of `spans` (the newest first); `total` messages are chosen."""

    spans: list[Span]
    skip: int
    total: int


async def find(connection: Connection, chosen: Selection, skip: int, limit: int) -> Place:
    """The place of `limit` messages after the first `skip`. Reads counts, so call it in the reader's snapshot."""
    *finer, days = CREATED.tiers
    rows = await connection.fetch(_sql("days", chosen, days), *_parameters(chosen))
    spans = [Span(row["bucket"], row["bucket"] + timedelta(seconds=days.seconds), row["n"]) for row in rows]
    total = sum(span.n for span in spans)
    spans, skip = _window(spans, skip, limit)
    for tier in reversed(finer):
        if not spans:
            break
        spans = await _narrow(connection, chosen, spans, tier)
        spans, skip = _window(spans, skip, limit)
    return Place(_joined(spans, chosen), skip, total)


def _window(spans: list[Span], skip: int, limit: int) -> tuple[list[Span], int]:
    """The spans that hold messages [skip, skip + limit), and how many to skip in them."""
    inside: list[Span] = []
    before = 0  # messages before the span
    skipped = 0  # of these, in spans left out
    for span in spans:
        if before >= skip + limit:
            break
        if before + span.n <= skip:
            skipped += span.n
        else:
            inside.append(span)
        before += span.n
    return inside, skip - skipped


async def _narrow(connection: Connection, chosen: Selection, spans: list[Span], tier: Tier) -> list[Span]:
    """The spans cut into a finer tier's buckets; one whose buckets are not kept any more stays as it is."""
    width = timedelta(seconds=tier.seconds)
    lows, highs = [span.low for span in spans], [span.high for span in spans]
    workspace, *series = _parameters(chosen)
    rows = await connection.fetch(_sql("finer", chosen, tier, 4), workspace, lows, highs, *series)
    parts: list[list[Span]] = [[] for _ in spans]
    for row in rows:
        parts[row["place"] - 1].append(Span(row["bucket"], row["bucket"] + width, row["n"]))
    found: list[Span] = []
    for span, inner in zip(spans, parts, strict=True):
        found += inner if sum(part.n for part in inner) == span.n else [span]
    return found


def _joined(spans: list[Span], chosen: Selection) -> list[Span]:
    """One span instead of many where nothing else lies between them."""
    if not spans or chosen.states is not None or chosen.series is not None:
        return spans
    return [Span(spans[-1].low, spans[0].high, sum(span.n for span in spans))]


def _sql(name: str, chosen: Selection, tier: Tier, place: int = 2) -> str:
    counters = CREATED.counters if chosen.states is None else [state.name.lower() for state in chosen.states]
    series = f"series = ANY (${place}::bigint[])"
    if chosen.series is None:
        series = f"series {'=' if tier.has_total else '>'} {TOTAL}"
    return _QUERIES[name].format(count=added(counters), table=tier.table, series=series)


def _parameters(chosen: Selection) -> list[object]:
    return [chosen.workspace] if chosen.series is None else [chosen.workspace, chosen.series]
