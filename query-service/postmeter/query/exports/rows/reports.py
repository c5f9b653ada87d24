"""The exports of Workspaces' reports: the same numbers, as flat rows.

Every row has every column of its export; `row` says what a row is, and what does not apply to it is empty. Where
none of an export's numbers counts anything, it has insufficient data.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from datetime import date, datetime

import msgspec

from postmeter.query import rates
from postmeter.query.documents.workspaces.campaign import CampaignReport
from postmeter.query.documents.workspaces.deliverability import DeliverabilityReport
from postmeter.query.documents.workspaces.heatmap import HeatmapReport
from postmeter.query.documents.workspaces.overview import OverviewReport
from postmeter.query.engine.query import Resolution
from postmeter.query.exports.files.columns import Column, Kind, Row, Table, Value, columns
from postmeter.query.exports.rows import sizes
from postmeter.query.exports.rows.source import BATCH, RowBatch, RowReading, RowSource
from postmeter.shared.apis.documents import workspaces as api
from postmeter.shared.apis.documents.deliverability import Deliverability

_COUNTS = api.CampaignSummary.__struct_fields__
_RATES = api.CampaignRates.__struct_fields__
_NO_RATE = rates.percent(0, 0)
_POINT = {
    "sent": "emails_sent",
    "delivered": "emails_delivered",
    "bounced": "emails_bounced",
    "opened": "emails_opened",
    "clicked": "emails_clicked",
    "replied": "emails_replied",
    "spam_complaints": "spam_complaints",
}
"""A point's fields under the summary's names, so that both share a column."""

CAMPAIGN_TABLE = (
    *columns(Kind.TEXT, "row", "campaign_id", "campaign_name"),
    Column("date", Kind.DAY),
    *columns(Kind.INTEGER, *_COUNTS),
    *columns(Kind.RATE, *_RATES),
)
OVERVIEW_TABLE = (
    *columns(Kind.TEXT, "row", "campaign_id", "campaign_name"),
    *columns(Kind.INTEGER, *api.OverviewSummary.__struct_fields__),
    *columns(Kind.RATE, *api.OverviewRates.__struct_fields__),
)
DELIVERABILITY_TABLE = (
    *columns(Kind.TEXT, "row", "campaign_id"),
    *columns(Kind.RATE, "estimated_inbox_placement_rate", "spam_rate", "bounce_rate"),
    Column("health_score", Kind.INTEGER),
    *columns(Kind.INTEGER, "hard_bounces", "soft_bounces"),
    *columns(Kind.RATE, "hard_bounce_rate", "soft_bounce_rate"),
    Column("any_ip_blacklisted", Kind.FLAG),
    Column("ips_checked", Kind.INTEGER),
    Column("last_check", Kind.TIME),
    Column("reason"),
    Column("count", Kind.INTEGER),
    Column("percentage", Kind.RATE),
    Column("date", Kind.DAY),
)
HEATMAP_TABLE = (
    *columns(Kind.TEXT, "row", "campaign_id", "timezone", "day_of_week", "time_period"),
    *columns(Kind.INTEGER, "hour", "emails_sent", "emails_opened"),
    *columns(Kind.RATE, "open_rate", "engagement_score"),
)


async def _performance(reading: RowReading) -> AsyncGenerator[RowBatch, None]:
    """One row a campaign, and behind it, where the series is wanted and it counted anything, one a day.

    A campaign without any number costs no query of its own.
    """
    if not await _anything(reading):
        return
    report, order, scope = CampaignReport(reading.engine, reading.pool), reading.order, reading.scope
    every, number = await sizes.how_many(reading.pool, scope, order), 0
    rows: list[Row] = []
    async for page in sizes.pages(reading.pool, scope, order):
        counting = await sizes.counting(reading.engine, scope, order, page)
        for campaign_id, name in page.items():
            number += 1
            if campaign_id in counting:
                answer = await report.read(scope, campaign_id, order.window, Resolution.DAY)
                rows += _campaign_rows(answer, order.include_time_series)
            else:
                rows.append(_idle_row(campaign_id, name))
            if len(rows) >= BATCH:
                yield RowBatch(rows, min(1.0, number / every))
                rows = []
    yield RowBatch(rows, 1.0)


async def _anything(reading: RowReading) -> bool:
    """Whether there is data, found before anything is written."""
    async with contextlib.aclosing(sizes.pages(reading.pool, reading.scope, reading.order)) as pages:
        async for page in pages:
            if await sizes.counting(reading.engine, reading.scope, reading.order, page):
                return True
    return False


def _campaign_rows(answer: api.CampaignAnalytics, series: bool) -> list[Row]:
    known: dict[str, Value] = {"campaign_id": answer.campaign_id, "campaign_name": answer.campaign_name}
    fields = msgspec.structs.asdict(answer.summary) | msgspec.structs.asdict(answer.rates)
    rows = [_row(CAMPAIGN_TABLE, "summary", known | fields)]
    for point in answer.time_series if series else []:
        counts = {name: getattr(point, field) for field, name in _POINT.items()}
        rows.append(_row(CAMPAIGN_TABLE, "day", known | counts | {"date": date.fromisoformat(point.date)}))
    return rows


def _idle_row(campaign_id: str, name: str) -> Row:
    """The summary of a campaign for which nothing was counted."""
    fields: dict[str, Value] = {"campaign_id": campaign_id, "campaign_name": name}
    fields |= dict.fromkeys(_COUNTS, 0)
    fields |= dict.fromkeys(_RATES, _NO_RATE)
    return _row(CAMPAIGN_TABLE, "summary", fields)


async def _overview(reading: RowReading) -> AsyncGenerator[RowBatch, None]:
    """One row of the workspace, then its best campaigns."""
    report = OverviewReport(reading.engine, reading.pool)
    answer = await report.read(reading.scope, reading.order.workspace, reading.order.window)
    summary = msgspec.structs.asdict(answer.summary)
    if not any(count for name, count in summary.items() if name != "total_campaigns"):
        return
    rows = [_row(OVERVIEW_TABLE, "summary", summary | msgspec.structs.asdict(answer.rates))]
    rows += [_row(OVERVIEW_TABLE, "top_campaign", msgspec.structs.asdict(best)) for best in answer.top_campaigns]
    yield RowBatch(rows, 1.0)


async def _deliverability(reading: RowReading) -> AsyncGenerator[RowBatch, None]:
    """Of the workspace, or of each campaign: one overall row, its bounce reasons, its days."""
    report = DeliverabilityReport(reading.engine, reading.pool)
    window, chosen = reading.order.window, _chosen(reading)
    for number, campaign_id in enumerate(chosen, 1):
        answer = await report.read(reading.scope, reading.order.workspace, window, campaign_id)
        if _counted(answer):
            yield RowBatch(_deliverability_rows(answer, campaign_id), number / len(chosen))


def _counted(answer: Deliverability) -> bool:
    """Where mail was sent, the three rates of what became of it are not all 0."""
    overall, bounces = answer.overall, answer.bounce_analysis
    rates = (overall.estimated_inbox_placement_rate, overall.spam_rate, overall.bounce_rate)
    return any((*rates, bounces.hard_bounces, bounces.soft_bounces))


def _deliverability_rows(answer: Deliverability, campaign_id: str | None) -> list[Row]:
    known: dict[str, Value] = {"campaign_id": campaign_id}
    bounces = msgspec.structs.asdict(answer.bounce_analysis)
    blacklists = msgspec.structs.asdict(answer.blacklist_status)
    checked = answer.blacklist_status.last_check
    blacklists["last_check"] = None if checked is None else datetime.fromisoformat(checked)
    overall = known | msgspec.structs.asdict(answer.overall) | bounces | blacklists
    rows = [_row(DELIVERABILITY_TABLE, "overall", overall)]
    for reason in bounces["top_bounce_reasons"]:
        rows.append(_row(DELIVERABILITY_TABLE, "bounce_reason", known | msgspec.structs.asdict(reason)))
    for point in answer.reputation_trend:
        day: dict[str, Value] = {"date": date.fromisoformat(point.date), "health_score": point.score}
        rows.append(_row(DELIVERABILITY_TABLE, "reputation", known | day))
    return rows


async def _heatmap(reading: RowReading) -> AsyncGenerator[RowBatch, None]:
    """Of the workspace, or of each campaign: the best hour, then the 7 x 4 cells."""
    report, chosen = HeatmapReport(reading.engine, reading.pool), _chosen(reading)
    for number, campaign_id in enumerate(chosen, 1):
        answer = await report.read(
            reading.scope, reading.order.workspace, reading.order.window, campaign_id=campaign_id
        )
        if not any(cell.emails_sent for cell in answer.heatmap):
            continue
        known: dict[str, Value] = {"campaign_id": campaign_id, "timezone": answer.timezone}
        rows: list[Row] = []
        if answer.optimal_send_time is not None:  # else no hour holds enough of the mail
            best = known | msgspec.structs.asdict(answer.optimal_send_time)
            rows.append(_row(HEATMAP_TABLE, "optimal_send_time", best))
        rows += [_row(HEATMAP_TABLE, "cell", known | msgspec.structs.asdict(cell)) for cell in answer.heatmap]
        yield RowBatch(rows, number / len(chosen))


def _chosen(reading: RowReading) -> list[str | None]:
    """The campaigns that one report is made of each; None: one of the whole workspace."""
    return [*reading.order.campaign_ids] or [None]


def _row(table: Table, what: str, fields: dict[str, Value]) -> Row:
    return tuple(what if column.name == "row" else fields.get(column.name) for column in table)


REPORTS = {
    "campaign_performance": RowSource(CAMPAIGN_TABLE, _performance),
    "overview": RowSource(OVERVIEW_TABLE, _overview),
    "deliverability": RowSource(DELIVERABILITY_TABLE, _deliverability),
    "engagement_heatmap": RowSource(HEATMAP_TABLE, _heatmap),
}
