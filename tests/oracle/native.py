"""POST /v1/query (docs/api/query.md)."""

from collections import defaultdict
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Any

from tests.oracle.asking import Asking, Refused, apart, between, totals
from tests.oracle.history import Count
from tests.oracle.times import backwards, buckets, is_date, parse, quarter, quarter_after, stamp, starts, zone

ACTIVITY = frozenset(
    (
        "sent",
        "delivered",
        "deferred",
        "hard_bounced",
        "soft_bounced",
        "failed",
        "complained",
        "unsubscribed",
        "unique_unsubscribed",
        "human_opens",
        "proxy_opens",
        "machine_opens",
        "unique_opens",
        "human_clicks",
        "machine_clicks",
        "unique_clicks",
        "replies",
        "unique_replies",
        "received",
        "spam",
        "size_bytes",
        "anonymous_opens",
        "anonymous_clicks",
        "trackable",
    )
)


def values(count: Count, dimension: str) -> tuple[str, ...]:
    """What a count has in a dimension: a tag each, one of everything else; "" where there is none."""
    if dimension == "tag":
        return count.place.tags or ("",)
    if dimension == "link":
        return (count.link or "",)
    return (str(getattr(count.place, dimension)),)


def groups(count: Count, dimensions: list[str], filters: dict[str, list[str]]) -> list[tuple[str, ...]]:
    """The groups that a count belongs to: more than one only by its tags. A filter holds for them too: what is
    asked for by the tag `a` alone is not told under the other tags that a message has besides.
    """
    found: list[tuple[str, ...]] = [()]
    for dimension in dimensions:
        named = [value for value in values(count, dimension) if value in filters.get(dimension, [value])]
        found = [(*group, value) for group in found for value in named]
    return found


def passes(count: Count, filters: dict[str, list[str]]) -> bool:
    """docs/api/query.md: "all dimensions must match, any value of each"."""
    return all(set(values(count, dimension)) & set(allowed) for dimension, allowed in filters.items())


def window(asking: Asking, body: dict[str, Any], local: tzinfo) -> tuple[datetime, datetime]:
    """docs/api/query.md: `from <= t < to`, widened outward to quarter-hours; default the last 30 days, those before
    `to` where that is past.
    """
    end = parse(body["to"], local, last=True) if body.get("to") else asking.now
    start = parse(body["from"], local, last=False) if body.get("from") else min(end, asking.now) - timedelta(days=30)
    if backwards(start, end, day=is_date(body.get("to"))):
        raise Refused(400, "INVALID_FIELD")
    return quarter(start), quarter(start) if start == end else quarter_after(end)


def query(asking: Asking, body: dict[str, Any]) -> dict[str, Any]:
    """One page of everything: the pages' order and cursors are tested with their own cases."""
    metrics, dimensions, filters = body["metrics"], body.get("dimensions", []), body.get("filters", {})
    resolution, local = body.get("resolution", "total"), zone(body.get("timezone", "UTC"))
    start, end = window(asking, body, local)
    by_link = "link" in dimensions or "link" in filters
    counts = [
        count
        for count in between(asking.counts(), start, end)
        if count.metric in ACTIVITY and passes(count, filters) and (count.link is not None or not by_link)
    ]
    found: defaultdict[tuple[str, ...], list[Count]] = defaultdict(list)
    for count in counts:
        for group in groups(count, dimensions, filters):
            found[group].append(count)
    if not dimensions and start < end:
        found.setdefault((), [])
    times = [None] if resolution == "total" else starts(start, end, resolution, local)
    of = {} if resolution == "total" else buckets(start, end, resolution, local)
    rows = []
    for group, all_counts in found.items():
        inside = apart(all_counts, lambda count: of[quarter(count.at)] if of else None)
        for at in times:
            summed = totals(inside[at])
            label = {} if at is None else {"timestamp": stamp(at.astimezone(local))}
            named = dict(zip(dimensions, group, strict=True))
            rows.append((at, {**label, **named, **{metric: summed[metric] for metric in metrics}}))
    order = ordering(body.get("order_by", []), [*([] if times == [None] else ["timestamp"]), *dimensions])
    for name in reversed(order):
        rows.sort(key=partial(sort_key, name=name.removeprefix("-")), reverse=name.startswith("-"))
    understood = {
        "metrics": metrics,
        "dimensions": dimensions,
        "filters": filters,
        "from": stamp(start),
        "to": stamp(end),
        "timezone": body.get("timezone", "UTC"),
        "resolution": resolution,
        "order_by": order,
        "limit": body.get("limit", 10_000),
    }
    return {"data": [row for _, row in rows], "query": understood, "next_cursor": None}


def sort_key(row: tuple[datetime | None, dict[str, Any]], name: str) -> Any:
    """Times are ordered as instants, everything else by its value."""
    return row[0] if name == "timestamp" else row[1][name]


def ordering(asked: str | list[str], default: list[str]) -> list[str]:
    """docs/api/query.md: `order_by`, then `timestamp`, then the dimensions."""
    named = [asked] if isinstance(asked, str) else list(asked)
    return named + [name for name in default if name not in [one.removeprefix("-") for one in named]]
