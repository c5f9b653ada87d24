"""Optail: metrics, breakdown, summary, messages, one message."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from postmeter.shared.stream.events import EventType, State, Verdict
from tests.oracle.asking import Asking, Refused, apart, between, totals
from tests.oracle.history import Count, Message
from tests.oracle.numbers import fraction
from tests.oracle.times import SECOND, backwards, buckets, is_date, parse, quarter, quarter_after, stamp, starts

# semantics.md, "Unique and total": "Optail `opened`, `clicked`: unique".
NAMES = {
    "sent": "sent",
    "delivered": "delivered",
    "opened": "unique_opens",
    "clicked": "unique_clicks",
    "bounced": "bounced",
    "complained": "complained",
    "unsubscribed": "unsubscribed",
}
# semantics.md: "Optail shows QUEUED, SENDING, SENT, DELIVERED, BOUNCED, FAILED; a complained one is DELIVERED there."
STATUS = {
    State.QUEUED: "QUEUED",
    State.SENDING: "SENDING",
    State.SENT: "SENT",
    State.SOFT_BOUNCED: "BOUNCED",
    State.DELIVERED: "DELIVERED",
    State.FAILED: "FAILED",
    State.HARD_BOUNCED: "BOUNCED",
    State.COMPLAINED: "DELIVERED",
}


def window(asking: Asking, start: str | None, end: str | None) -> tuple[datetime, datetime, dict[str, str]]:
    """semantics.md, "Time", Optail: `from` <= t < `to`, widened outward to quarter-hours; and how both print."""
    until = asking.now if end is None else parse(end, last=True)
    since = asking.now - timedelta(days=30) if start is None else parse(start, last=False)
    if backwards(since, until, day=is_date(end)):
        raise Refused(400, "INVALID_PARAMETER")
    # "a date without a time: `to` its last [instant]": 23:59:59.
    printed = until - SECOND if is_date(end) else until
    echo = {"from": stamp(since), "to": stamp(printed)}
    return quarter(since), quarter(since) if since == until else quarter_after(until), echo


def shown(counts: Iterable[Count], names: Iterable[str]) -> dict[str, int]:
    whole = totals(counts)
    return {name: whole[NAMES[name]] for name in names}


def metrics(
    asking: Asking, start: str | None = None, end: str | None = None, granularity: str = "day"
) -> dict[str, Any]:
    """Optail, GET /v1/metrics."""
    since, until, echo = window(asking, start, end)
    of = buckets(since, until, granularity)
    inside = apart(between(asking.counts(), since, until), lambda count: of[quarter(count.at)])
    rows = [
        {"timestamp": bucket.strftime("%Y-%m-%d %H:%M:%S"), **shown(inside[bucket], NAMES)}
        for bucket in starts(since, until, granularity)
    ]
    return {"data": rows, "query": {**echo, "granularity": granularity}}


def breakdown(
    asking: Asking, start: str | None = None, end: str | None = None, group_by: str = "provider"
) -> dict[str, Any]:
    """Optail, GET /v1/metrics/breakdown; semantics.md: "messages without one: `unknown`". As in the
    document's example: by what was sent, the most first; then by name. Groups of nothing but zeros are left out.
    """
    since, until, echo = window(asking, start, end)
    names = [name for name in NAMES if name != "unsubscribed"]
    rows: list[tuple[str, dict[str, int]]] = []
    counts = between(asking.counts(), since, until)
    for group in {getattr(count.place, group_by) for count in counts}:
        inside = [count for count in counts if getattr(count.place, group_by) == group]
        if any(shown(inside, names).values()):
            rows.append((group or "unknown", shown(inside, names)))
    rows.sort(key=lambda row: (-row[1]["sent"], row[0]))
    return {"data": [{"name": name, **found} for name, found in rows], "query": {**echo, "groupBy": group_by}}


def summary(asking: Asking, start: str | None = None, end: str | None = None) -> dict[str, Any]:
    """Optail, GET /v1/metrics/summary; semantics.md, "Formulas": clickRate is clicked / **opened**."""
    since, until, echo = window(asking, start, end)
    whole = shown(between(asking.counts(), since, until), NAMES)
    order = ("sent", "delivered", "opened", "clicked", "bounced", "complained", "unsubscribed")
    data: dict[str, Any] = {f"total{name.capitalize()}": whole[name] for name in order}
    for rate, part, base in (
        ("deliveryRate", "delivered", "sent"),
        ("openRate", "opened", "delivered"),
        ("clickRate", "clicked", "opened"),
        ("bounceRate", "bounced", "sent"),
        ("complaintRate", "complained", "delivered"),
    ):
        data[rate] = fraction(whole[part], whole[base], 4)
    return {"data": data, "period": echo}


def listed(message: Message) -> dict[str, Any]:
    record = message.record
    return {
        "id": str(UUID(bytes=record.message)),
        "providerAccountId": record.provider_account or None,
        "fromAddress": record.from_address,
        "toHash": record.to_hash,
        "subject": record.subject,
        "status": STATUS[message.state],
        "tags": list(record.tags),
        "providerMessageId": record.provider_message or None,
        "createdAt": stamp(message.created),
        "sentAt": stamp(message.sent) if message.sent else None,
        "deliveredAt": stamp(message.delivered) if message.delivered else None,
    }


def messages(
    asking: Asking, page: int = 1, limit: int = 20, status: str | None = None, search: str | None = None
) -> dict[str, Any]:
    """Optail, GET /v1/messages: newest first."""
    limit = min(limit, 100)
    found = [
        message
        for message in sorted(asking.messages(), key=lambda m: (m.created, m.record.message), reverse=True)
        if (status is None or STATUS[message.state] == status)
        and (search is None or search.lower() in message.record.subject.lower())
    ]
    data = [listed(message) for message in found[(page - 1) * limit : page * limit]]
    pages = -(-len(found) // limit)
    pagination = {"page": page, "limit": limit, "total": len(found), "totalPages": pages}
    return {"data": data, "pagination": pagination}


SHOWN = 1000
"""docs/api/optail.md: the latest thousand events of a message."""


def message(asking: Asking, which: str) -> dict[str, Any]:
    """Optail, GET /v1/messages/:id, with its history: QUEUED at its creation, then what was told and done."""
    found = next((m for m in asking.messages() if str(UUID(bytes=m.record.message)) == which), None)
    if found is None:
        raise Refused(404, "NOT_FOUND")
    events = [(found.created, "QUEUED")]
    # None of the documents counts machines' opens and clicks.
    happened = [
        (at, kind.name)
        for at, kind, verdict in sorted(found.history, key=lambda one: one[:2])
        if verdict is not Verdict.MACHINE and kind is not EventType.QUEUED
    ]
    events += happened[-SHOWN:]
    full = listed(found)
    data = {name: full[name] for name in ("id", "fromAddress", "subject", "status", "tags")}
    data["events"] = [{"eventType": name, "occurredAt": stamp(at)} for at, name in events]
    return {"data": data}
