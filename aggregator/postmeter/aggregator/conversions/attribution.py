"""Attributes purchases to clicks, and counts them: each purchase once, whoever does it (ADR 0022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import asyncpg

from postmeter.aggregator.conversions.contacts import QUERIES, Named
from postmeter.aggregator.fold.deltas import EXACT, width
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.store import rollups
from postmeter.aggregator.store.dimensions import Dimensions, of_domain
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import CONVERSIONS
from postmeter.shared.stream.events import EventType, Verdict

CONTACT_MESSAGES = 10_000
"""How many of a contact's messages, the newest, are looked at."""

Cell = tuple[int, int, int, str]
"""(workspace, bucket, series, currency)"""
_FINEST = width(CONVERSIONS.tiers[0])


@dataclass(frozen=True)
class Attributed:
    """How many purchases were attributed to a campaign, and how many to none."""

    to_campaign: int = 0
    to_none: int = 0


async def attribute(
    connection: Connection, dimensions: Dimensions, horizon: Horizon, named: Sequence[Named], overdue: set[Named]
) -> Attributed:
    """Attribute those of the purchases that are open, in one transaction.

    One whose contact has an event that is about to be counted stays open, unless it is overdue; so does one that
    somebody else is attributing now.
    """
    plain = await dimensions.resolve(connection, {of_domain(workspace, "") for workspace, _ in named})
    async with connection.transaction():
        rows = await connection.fetch(QUERIES["lock_purchases"], *zip(*named, strict=True))
        rows = await _countable(connection, rows, overdue)
        if not rows:
            return Attributed()
        workspaces, contacts = [row["workspace"] for row in rows], [row["contact"] for row in rows]
        clicks = await connection.fetch(
            QUERIES["last_clicks"],
            workspaces,
            contacts,
            [row["at"] for row in rows],
            CONTACT_MESSAGES,
            EventType.CLICKED,
            Verdict.HUMAN,
        )
        series = [
            plain[of_domain(row["workspace"], "")] if click["series"] is None else click["series"]
            for row, click in zip(rows, clicks, strict=True)
        ]
        await connection.execute(
            QUERIES["resolve"],
            workspaces,
            [row["id"] for row in rows],
            [click["message"] for click in clicks],
            series,
            [click["campaign"] for click in clicks],
        )
        await _count(connection, horizon, rows, series)
    attributed = sum(click["campaign"] is not None for click in clicks)
    return Attributed(attributed, len(rows) - attributed)


async def _countable(connection: Connection, rows: list[asyncpg.Record], overdue: set[Named]) -> list[asyncpg.Record]:
    if not rows:
        return rows
    contacts = {(row["workspace"], row["contact"]) for row in rows}
    found = await connection.fetch(QUERIES["uncounted"], *zip(*contacts, strict=True), CONTACT_MESSAGES)
    wait = {(row["workspace"], row["contact"]) for row in found}
    return [
        row
        for row in rows
        if (row["workspace"], row["contact"]) not in wait or (row["workspace"], row["id"]) in overdue
    ]


async def _count(connection: Connection, horizon: Horizon, rows: list[asyncpg.Record], series: list[int]) -> None:
    """Add the purchases to every tier that keeps their time, with the workspaces' totals."""
    cells: dict[Cell, tuple[int, Decimal]] = {}
    for row, of in zip(rows, series, strict=True):
        at = row["at"] - row["at"] % _FINEST
        conversions, revenue = cells.get(key := (row["workspace"], at, of, row["currency"]), (0, Decimal(0)))
        cells[key] = (conversions + 1, EXACT.add(revenue, row["amount"]))
    await rollups.add(connection, CONVERSIONS, cells, horizon)
