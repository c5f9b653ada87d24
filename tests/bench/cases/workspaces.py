"""Requests of Workspaces."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.bench.cases.case import Answer, Case, Comparable, FromRaw
from tests.bench.dataset import ZONE, Dataset
from tests.bench.raw import DAY, FAR, Raw, health, picked, rate, through

BASE = "/api/v1/workspaces/{workspaceId}"
CAMPAIGN = "/campaigns/{campaignId}/analytics"
SUMMARY = (
    "emails_sent",
    "emails_delivered",
    "emails_bounced",
    "emails_opened",
    "emails_clicked",
    "emails_replied",
    "spam_complaints",
    "unsubscribes",
)
SUMMED = (
    "sent",
    "delivered",
    "bounced",
    "unique_opens",
    "unique_clicks",
    "unique_replies",
    "complained",
    "unique_unsubscribed",
)
OVERVIEW = ("emails_sent", "emails_delivered", "emails_opened", "emails_clicked", "emails_replied")
OVERVIEWED = ("sent", "delivered", "unique_opens", "unique_clicks", "unique_replies")
SCORED = ("sent", "delivered", "hard", "complained", "unique_unsubscribed")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PERIODS = [(6, "nighttime"), (9, "early_morning"), (17, "office_hours"), (24, "evening")]


def cases(data: Dataset) -> list[Case]:
    """The reports; exports are jobs."""
    base = BASE.replace("{workspaceId}", data.workspace_id)
    compared = {"campaign_ids": _compared(data), "time_range": "90d"}

    def get(name: str, path: str, query: str, read: Any, raw: FromRaw) -> Case:
        filled = path.replace("{campaignId}", data.campaigns[0])
        return Case(f"Workspaces {name}", ("GET", BASE + path), base + filled + query, read=read, raw=raw)

    return [
        get("campaign, 30 days", CAMPAIGN, "", _one, _campaign),
        get("overview, 30 days", "/analytics/overview", "", _all, _overview),
        get("overview, 90 days", "/analytics/overview", "?timeRange=90d", _all, _overview),
        get("deliverability, 30 days", "/analytics/deliverability", "", _bounces, _deliverability),
        get("heatmap, 30 days", "/analytics/engagement-heatmap", "", _cells, _heatmap),
        Case(
            "Workspaces compare three, 90 days",
            ("POST", BASE + "/analytics/compare"),
            base + "/analytics/compare",
            compared,
            read=_intervals,
            raw=_compare,
        ),
    ]


def _compared(data: Dataset) -> list[str]:
    return [data.campaigns[0], data.campaigns[1], data.campaigns[-1]]


def _midnight(days_ago: int) -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - days_ago * DAY


def _one(answer: Answer) -> Comparable:
    points = {row["date"]: row["sent"] for row in answer["data"]["time_series"] if row["sent"]}
    return picked(answer["data"]["summary"], SUMMARY), points


async def _campaign(raw: Raw, answer: Answer) -> Comparable:
    window = through(answer["data"]["time_range"])
    rows = await raw.rows("campaign_days", *window, raw.dataset.campaigns[0])
    total = tuple(sum(row[name] for row in rows) for name in SUMMED)
    return total, {f"{row['bucket']:%Y-%m-%d}": row["sent"] for row in rows if row["sent"]}


def _all(answer: Answer) -> Comparable:
    found = answer["data"]["summary"]
    top = [(row["campaign_id"], row["open_rate"]) for row in answer["data"]["top_campaigns"]]
    return found["active_campaigns"], picked(found, OVERVIEW), top


async def _overview(raw: Raw, answer: Answer) -> Comparable:
    start, end = through(answer["data"]["time_range"])
    (total,) = await raw.rows("total", start, end)
    best = await raw.rows("best", start, end)
    top = [(row["name"], rate(100 * row["unique_opens"], row["delivered"], 2)) for row in best[:5]]
    return len(best), picked(total, OVERVIEWED), top


def _bounces(answer: Answer) -> Comparable:
    bounces = answer["data"]["bounce_analysis"]
    reasons = [(row["reason"], row["count"]) for row in bounces["top_bounce_reasons"]]
    trend = [row["score"] for row in answer["data"]["reputation_trend"]]
    return bounces["hard_bounces"], bounces["soft_bounces"], reasons, trend


async def _deliverability(raw: Raw, answer: Answer) -> Comparable:
    start, end = through(answer["data"]["time_range"])
    # A day's score looks at its week and at the one before.
    first = start - 13 * DAY
    rows = {row["bucket"]: row for row in await raw.rows("buckets", first, end, "day")}
    moments = [first + number * DAY for number in range((end - first) // DAY)]
    days = [picked(rows[at], SCORED) if at in rows else (0,) * len(SCORED) for at in moments]
    scores = [health(days[n - 6 : n + 1], sum(day[0] for day in days[n - 13 : n - 6])) for n in range(13, len(days))]
    soft = sum(row["soft"] for at, row in rows.items() if at >= start)
    reasons = [tuple(row) for row in await raw.rows("reasons", start, end)]
    return sum(day[2] for day in days[13:]), soft, reasons, scores


def _cells(answer: Answer) -> Comparable:
    return {
        (row["day_of_week"], row["time_period"]): (row["emails_sent"], row["emails_opened"], row["engagement_score"])
        for row in answer["data"]["heatmap"]
        if row["emails_sent"]
    }


async def _heatmap(raw: Raw, answer: Answer) -> Comparable:
    cells: dict[tuple[str, str], list[int]] = {}
    for day, hour, *counts in await raw.rows("heatmap", _midnight(30), FAR, ZONE):
        period = next(name for end, name in PERIODS if hour < end)
        cell = cells.setdefault((WEEKDAYS[day - 1], period), [0, 0, 0, 0])
        for place, count in enumerate(counts):
            cell[place] += count
    return {
        key: (sent, opened, rate(30 * opened + 40 * clicked + 30 * replied, sent, 2))
        for key, (sent, opened, clicked, replied) in cells.items()
    }


def _intervals(answer: Answer) -> Comparable:
    found = {row["campaign_id"]: row["intervals"] for row in answer["data"]["comparison"]}
    return [
        (name, of["open_rate"]["successes"], of["open_rate"]["trials"], of["click_rate"]["successes"])
        for name, of in found.items()
    ]


async def _compare(raw: Raw, answer: Answer) -> Comparable:
    wanted = _compared(raw.dataset)
    rows = {row["name"]: row for row in await raw.rows("campaigns", _midnight(90), FAR, wanted)}
    return [(name, *picked(rows[name], ("unique_opens", "delivered", "unique_clicks"))) for name in wanted]
