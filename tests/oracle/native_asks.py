"""Questions to the native API."""

import random
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from tests.oracle import campaigns, native, search
from tests.oracle.asking import Asking
from tests.oracle.questions import ZONES, Ask, get, instants
from tests.oracle.stories import CHANGES
from tests.oracle.times import stamp

METRICS = sorted(native.ACTIVITY - {"human_clicks"} | {"opens", "clicks", "bounced"})
OUTBOUND = [metric for metric in METRICS if metric not in ("received", "spam", "size_bytes")]
"""What is counted by more than the domain."""
ENGAGEMENTS = (None, *search.ENGAGED, *search.STATES, "not_opened", "not_clicked")
DAYS = {"quarter_hour": 2, "hour": 9}
"""How far back series of fine resolution are asked for, so that no answer is too large."""

PAGES = {"total": 2, "week": 40, "month": 13}
"""Rows of a page, so that answers have a few."""


def of_native(asking: Asking, noise: random.Random) -> Iterator[Ask]:
    for n in range(8):
        body = {**counted(noise, by_tag=n in (5, 6), by_link=n == 7), **ranged(asking, noise)}
        if body["resolution"] in PAGES and noise.random() < 0.5:
            body["limit"] = PAGES[body["resolution"]]
        yield Ask("/v1/query", "/v1/query", partial(native.query, asking, body), body)
    for engagement in noise.sample(ENGAGEMENTS, 4):
        body = searched(asking, noise, engagement)
        yield Ask("/v1/messages/search", "/v1/messages/search", partial(search.search, asking, body), body)
    for limit in (None, "1", "2"):
        yield get("/v1/campaigns", "/v1/campaigns", partial(campaigns.campaigns, asking), limit=limit)


def searched(asking: Asking, noise: random.Random, engagement: str | None) -> dict[str, Any]:
    """Which messages: by what became of them, of what, created when; page by page."""
    choices: dict[str, list[list[str]]] = {
        "campaign": [["spring", "nobody"], [""]],
        "domain": [["shop.example", "mail.example"]],
        "provider": [["SENDGRID"], ["", "POSTMARK"]],
        "template": [["welcome", ""]],
        "tag": [["a", "welcome"], ["Zeta", ""]],
    }
    chosen = noise.sample(sorted(choices), noise.choice((0, 0, 1, 2)))
    start, end = instants(asking.now, noise) if noise.random() < 0.5 else (None, None)
    given = {"engagement": engagement, "from": start, "to": end, "limit": noise.choice((None, None, 3, 5))}
    body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return body | ({"filters": {name: noise.choice(choices[name]) for name in chosen}} if chosen else {})


def counted(noise: random.Random, *, by_tag: bool, by_link: bool) -> dict[str, Any]:
    """What is asked for: metrics, dimensions, filters, order."""
    metrics = noise.sample(METRICS, 4)
    dimensions = noise.sample(("campaign", "domain", "provider", "template"), noise.choice((0, 0, 1, 2)))
    filters: dict[str, list[str]] = {}
    if noise.random() < 0.4:
        filters["domain"] = noise.sample(("shop.example", "mail.example", "nowhere.example"), 2)
    if noise.random() < 0.3:
        filters["campaign"] = noise.sample(("spring", "Summer", ""), 1)
    if by_tag:
        dimensions = noise.choice((dimensions, [*dimensions, "tag"]))
        filters |= noise.choice(({}, {"tag": ["a"]}, {"tag": ["a", "welcome"]}, {"tag": ["Zeta", ""]}))
    if by_link:
        dimensions, metrics = [*dimensions, "link"], ["clicks", "machine_clicks"]
        filters |= noise.choice(({}, {"link": ["https://b.example/"]}, {"tag": ["b"]}))
    if {*dimensions, *filters} - {"domain"} and not by_link:
        metrics = noise.sample(OUTBOUND, 4)
    body: dict[str, Any] = {"metrics": metrics}
    body |= {"dimensions": dimensions} if dimensions else {}
    body |= {"filters": filters} if filters else {}
    if dimensions and noise.random() < 0.5:
        body["order_by"] = noise.choice(([f"-{metrics[0]}"], dimensions[0], [metrics[1], f"-{dimensions[0]}"]))
    return body


def ranged(asking: Asking, noise: random.Random) -> dict[str, Any]:
    """Of when: range, zone, resolution; also around the hours at which clocks change."""
    resolution = noise.choice(("total", "quarter_hour", "hour", "day", "week", "month"))
    start, end = instants(asking.now, noise)
    if resolution in DAYS:
        start, end = stamp(asking.now - timedelta(days=DAYS[resolution])), None
    if CHANGES and noise.random() < 0.2:
        change = noise.choice(CHANGES)
        start, end = stamp(change - timedelta(hours=30)), stamp(change + timedelta(hours=31))
    given = {name: value for name, value in (("from", start), ("to", end)) if value is not None}
    return {"resolution": resolution, "timezone": noise.choice(ZONES), **given}
