"""Requests of Optail."""

from __future__ import annotations

from tests.bench.cases.case import Answer, Case, Comparable, FromRaw
from tests.bench.dataset import Dataset
from tests.bench.raw import DAY, FAR, Raw, moment, picked, quarter, rate

METRICS, BREAKDOWN, SUMMARY = "/v1/metrics", "/v1/metrics/breakdown", "/v1/metrics/summary"
MESSAGES, MESSAGE = "/v1/messages", "/v1/messages/{id}"
COUNTED = ("sent", "delivered", "unique_opens", "unique_clicks", "bounced", "complained")
NAMES = ("sent", "delivered", "opened", "clicked", "bounced", "complained")
EVENTS_OF_ALL_MESSAGES = 3
PAGE = 100


def cases(data: Dataset) -> list[Case]:
    """Series, breakdowns, the summary, lists of messages and one message."""
    recent = f"{METRICS}?granularity=hour&from={data.end - 7 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    monthly = f"{METRICS}?granularity=month&from={data.begin:%Y-%m-%d}"
    templates = f"{BREAKDOWN}?groupBy=template&from={data.begin:%Y-%m-%d}"
    middle = max(2, data.events // EVENTS_OF_ALL_MESSAGES // 2 // PAGE)
    deep = f"{MESSAGES}?limit={PAGE}&page={middle}"
    return [
        Case("Optail 30 days, daily", ("GET", METRICS), METRICS, read=_series, raw=_buckets("day")),
        Case("Optail 7 days, hourly", ("GET", METRICS), recent, read=_series, raw=_buckets("hour")),
        Case("Optail all, monthly", ("GET", METRICS), monthly, read=_series, raw=_buckets("month")),
        Case("Optail by provider", ("GET", BREAKDOWN), BREAKDOWN, read=_grouped, raw=_groups("provider")),
        Case("Optail by template, all", ("GET", BREAKDOWN), templates, read=_grouped, raw=_groups("template")),
        Case("Optail summary", ("GET", SUMMARY), SUMMARY, read=lambda answer: [*answer["data"].values()], raw=_summary),
        Case("Optail messages", ("GET", MESSAGES), MESSAGES, read=_listed, raw=_page("messages", 0, 20)),
        Case(
            "Optail messages, a page in the middle",
            ("GET", MESSAGES),
            deep,
            read=_listed,
            raw=_page("messages", PAGE * (middle - 1), PAGE),
        ),
        Case(
            "Optail messages, bounced",
            ("GET", MESSAGES),
            MESSAGES + "?status=BOUNCED",
            read=_listed,
            raw=_page("bounced_messages"),
        ),
        Case(
            "Optail messages, searched",
            ("GET", MESSAGES),
            MESSAGES + "?search=NUMBER%20777",
            read=_listed,
            raw=_page("searched_messages", "NUMBER 777"),
            dashboard=False,
        ),
        Case("Optail message", ("GET", MESSAGE), f"{MESSAGES}/{data.message}", read=_events, raw=_history),
    ]


def _series(answer: Answer) -> Comparable:
    found = {moment(row["timestamp"]): picked(row, (*NAMES, "unsubscribed")) for row in answer["data"]}
    return {at: counts for at, counts in found.items() if any(counts)}


def _buckets(unit: str) -> FromRaw:
    async def read(raw: Raw, answer: Answer) -> Comparable:
        rows = await raw.rows("buckets", quarter(answer["query"]["from"]), FAR, unit)
        found = {row["bucket"]: picked(row, (*COUNTED, "unsubscribed")) for row in rows}
        return {at: counts for at, counts in found.items() if any(counts)}

    return read


def _grouped(answer: Answer) -> Comparable:
    return {row["name"]: picked(row, NAMES) for row in answer["data"]}


def _groups(column: str) -> FromRaw:
    async def read(raw: Raw, answer: Answer) -> Comparable:
        rows = await raw.rows("groups", quarter(answer["query"]["from"]), FAR, column=column)
        found = {row["name"] or "unknown": picked(row, COUNTED) for row in rows}
        return {name: counts for name, counts in found.items() if any(counts)}

    return read


async def _summary(raw: Raw, answer: Answer) -> Comparable:
    (row,) = await raw.rows("total", quarter(answer["period"]["from"]), FAR)
    sent, delivered, opened, clicked, bounced, complained = picked(row, COUNTED)
    rates = [(delivered, sent), (opened, delivered), (clicked, opened), (bounced, sent), (complained, delivered)]
    return [*picked(row, (*COUNTED, "unsubscribed")), *(rate(part, whole, 4) for part, whole in rates)]


def _listed(answer: Answer) -> Comparable:
    return [row["id"] for row in answer["data"]], answer["pagination"]["total"]


def _page(name: str, *arguments: object) -> FromRaw:
    async def read(raw: Raw, answer: Answer) -> Comparable:
        rows = await raw.rows(name, *arguments)
        return [str(row["id"]) for row in rows], rows[0]["total"] if rows else 0

    return read


def _events(answer: Answer) -> Comparable:
    """Without the creation, which is not an event."""
    return [event["occurredAt"] for event in answer["data"]["events"][1:]]


async def _history(raw: Raw, answer: Answer) -> Comparable:
    return [f"{row['at']:%Y-%m-%dT%H:%M:%SZ}" for row in await raw.rows("history", raw.dataset.message)]
