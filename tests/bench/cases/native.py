"""Requests of the native query, and of what else is Postmeter's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.bench.cases.case import Answer, Case, Comparable, FromRaw
from tests.bench.raw import Raw, moment, picked

QUERY, CAMPAIGNS, SEARCH = "/v1/query", "/v1/campaigns", "/v1/messages/search"
EVENTS = "/v1/messages/{id}/events"


def cases(message: str) -> list[Case]:
    """Some queries that no document has, the list of campaigns, and a message's events."""
    by_day = {"metrics": ["sent", "unique_opens"], "dimensions": ["campaign"], "resolution": "day"}
    links = {"metrics": ["clicks", "machine_clicks"], "dimensions": ["link"], "order_by": ["-clicks", "link"]}
    hours = {"metrics": ["sent", "opens"], "resolution": "hour", "timezone": "Asia/Kathmandu"}
    return [
        # As large as answers get: thousands of rows.
        _query("by campaign and day", by_day, _rows("timestamp", "campaign"), _by_campaign, dashboard=False),
        _query("by tag", {"metrics": ["sent", "clicks"], "dimensions": ["tag"]}, _rows("tag"), _by_tag),
        _query(
            "by mailbox",
            {"metrics": ["sent", "unique_opens"], "dimensions": ["mailbox_provider"]},
            _rows("mailbox_provider"),
            _by_mailbox,
        ),
        _query("the 100 best links", links | {"limit": 100}, _rows("link"), _by_link),
        _query("hours in Kathmandu", hours, _rows("timestamp"), _in_kathmandu),
        Case(
            "native search, bounced",
            ("POST", SEARCH),
            SEARCH,
            {"engagement": "bounced", "limit": 20},
            read=lambda answer: [row["id"] for row in answer["data"]],
            raw=_bounced,
        ),
        Case(
            "native events of a message",
            ("GET", EVENTS),
            EVENTS.format(id=message),
            why="the history of Optail message",
        ),
        Case("native campaigns", ("GET", CAMPAIGNS), CAMPAIGNS, read=_campaigns, raw=_first_sendings),
    ]


def _query(name: str, body: dict[str, Any], read: Any, raw: FromRaw, dashboard: bool = True) -> Case:
    return Case(f"native {name}", ("POST", QUERY), QUERY, body, read, raw, dashboard=dashboard)


def _rows(*keys: str) -> Any:
    """The metrics that are not all 0 by these keys; times as moments."""

    def read(answer: Answer) -> Comparable:
        metrics = answer["query"]["metrics"]
        found = {}
        for row in answer["data"]:
            key = tuple(moment(row[name]) if name == "timestamp" else row[name] for name in keys)
            found[key] = picked(row, metrics)
        return {key: counts for key, counts in found.items() if any(counts)}

    return read


def _window(answer: Answer) -> tuple[datetime, datetime]:
    return moment(answer["query"]["from"]), moment(answer["query"]["to"])


async def _by_campaign(raw: Raw, answer: Answer) -> Comparable:
    rows = await raw.rows("group_days", *_window(answer))
    found = {(row["bucket"], row["name"]): picked(row, ("sent", "unique_opens")) for row in rows}
    return {key: counts for key, counts in found.items() if any(counts)}


async def _by_tag(raw: Raw, answer: Answer) -> Comparable:
    rows = await raw.rows("tags", *_window(answer))
    return {(row["name"],): picked(row, ("sent", "clicks")) for row in rows}


async def _by_mailbox(raw: Raw, answer: Answer) -> Comparable:
    rows = await raw.rows("groups", *_window(answer), column="mailbox_provider")
    found = {(row["name"],): picked(row, ("sent", "unique_opens")) for row in rows}
    return {key: counts for key, counts in found.items() if any(counts)}


async def _by_link(raw: Raw, answer: Answer) -> Comparable:
    return {(row[0],): (row[1], row[2]) for row in await raw.rows("links", *_window(answer))}


async def _in_kathmandu(raw: Raw, answer: Answer) -> Comparable:
    rows = await raw.rows("zone_hours", *_window(answer), "Asia/Kathmandu")
    found = {(row["bucket"],): picked(row, ("sent", "opens")) for row in rows}
    return {key: counts for key, counts in found.items() if any(counts)}


async def _bounced(raw: Raw, answer: Answer) -> Comparable:
    return [str(row["id"]) for row in await raw.rows("bounced_messages")]


def _campaigns(answer: Answer) -> Comparable:
    return [(row["id"], row["sent_at"]) for row in answer["data"]]


async def _first_sendings(raw: Raw, answer: Answer) -> Comparable:
    rows = await raw.rows("first_sendings")
    return [(row[0], None if row[1] is None else f"{row[1]:%Y-%m-%dT%H:%M:%SZ}") for row in rows]
