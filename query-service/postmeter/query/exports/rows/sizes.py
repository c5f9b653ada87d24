"""How large an export will be, from the rollups and before anything is written: rows, and the work to get them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

from postmeter.query.documents import campaigns
from postmeter.query.documents.workspaces import formulas, lookups
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Scope
from postmeter.query.exports.failures import ExportTooLarge
from postmeter.query.exports.order import Order
from postmeter.query.exports.rows import volumes
from postmeter.shared.storage.postgres import Pool

MAX_HISTORY_ROWS = 50_000_000
"""Rows of `messages` and `events`."""
MAX_REPORT_ROWS = 1_000_000
"""Rows of the other exports."""
HISTORY = ("messages", "events")
_PAGE = 1_000
_REASONS = 5
_CELLS = 7 * 4
_BEGIN_SECONDS = 2.0
_REPORT_SECONDS = 0.02
"""What one report takes: some queries."""
_ROWS_A_SECOND = 10_000


@dataclass(frozen=True)
class Size:
    """rows: about how many of HISTORY, at most how many of the reports. reports: how many are made."""

    rows: int
    reports: int = 0

    @property
    def seconds(self) -> float:
        """About how long the export will take, once it is at work."""
        return _BEGIN_SECONDS + self.reports * _REPORT_SECONDS + self.rows / _ROWS_A_SECOND


async def measure(engine: Engine, pool: Pool, scope: Scope, order: Order) -> Size:
    """The size of an export. Campaigns are only looked into where all of them would be too many."""
    if order.type in HISTORY:
        return Size(sum(span.rows for span in await volumes.spans(engine, scope, order)))
    if order.type == "overview":
        return Size(1 + _REASONS, 1)
    if order.type != "campaign_performance":
        reports = max(1, len(order.campaign_ids))
        return Size(reports * _rows(order), reports)
    every = await how_many(pool, scope, order)
    if every * (1 + _rows(order)) <= MAX_REPORT_ROWS or every > MAX_REPORT_ROWS:
        return Size(every * (1 + _rows(order)), every)
    counted = 0
    async for page in pages(pool, scope, order):
        counted += len(await counting(engine, scope, order, page))
    return Size(every + counted * _rows(order), counted)


def check(order: Order, size: Size) -> None:
    """Raises ExportTooLarge, which says what to narrow."""
    if size.rows > limit(order):
        raise ExportTooLarge(too_many(order, f"about {size.rows}"))


def limit(order: Order) -> int:
    """The most rows that an export of this type may have."""
    return MAX_HISTORY_ROWS if order.type in HISTORY else MAX_REPORT_ROWS


def too_many(order: Order, rows: str) -> str:
    """Why an export with that many rows is not made."""
    advice = "choose a shorter time range or fewer campaigns"
    if order.type == "campaign_performance" and order.include_time_series:
        advice += ", or leave include_time_series out"
    return f"it would have {rows} rows, and {order.type} may have {limit(order)}; {advice}"


async def how_many(pool: Pool, scope: Scope, order: Order) -> int:
    """How many campaigns campaign_performance has: those that were ordered, or all."""
    count: int = len(order.campaign_ids) or await pool.fetchval(
        lookups.QUERIES["count_campaigns"], scope.workspace, scope.domains
    )
    return count


async def pages(pool: Pool, scope: Scope, order: Order) -> AsyncGenerator[dict[str, str], None]:
    """Ids and names of these campaigns, _PAGE at a time. One that was ordered but is unknown is called by its id."""
    if order.campaign_ids:
        yield await campaigns.names(pool, scope, order.campaign_ids)
        return
    last: str | None = None
    while page := await campaigns.page(pool, scope, last, _PAGE):
        yield {campaign.id: campaign.name for campaign in page}
        last = page[-1].id


async def counting(engine: Engine, scope: Scope, order: Order, ids: Iterable[str]) -> set[str]:
    """Those of the campaigns, a page of them, for which anything was counted in the window."""
    query = Query(
        scope=scope,
        metrics=formulas.METRICS,
        start=order.start,
        end=order.end,
        dimensions=("campaign",),
        filters={"campaign": tuple(ids)},
    )
    return {row.keys[0] for row in await engine.rows(query) if any(row.values)}


def _rows(order: Order) -> int:
    """Rows of one campaign at most; in campaign_performance those beside its summary."""
    days = order.days
    match order.type:
        case "campaign_performance":
            return days if order.include_time_series else 0
        case "deliverability":
            return 1 + _REASONS + days
        case _:
            return 1 + _CELLS
