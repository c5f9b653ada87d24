"""Questions to the product, each with the answer that the model gives."""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

from tests.oracle import comparison, deliverability, krafter, misar, native_asks, optail, vectis, workspaces
from tests.oracle.asking import Asking
from tests.oracle.questions import ZONES, Ask, get, instants

WORKSPACES = "/api/v1/workspaces/{workspaceId}"


def of_vectis(asking: Asking, noise: random.Random) -> Iterator[Ask]:
    path = "/api/v1/analytics"
    for period in ("1h", "24h", "7d", "30d"):
        yield get(path, path, partial(vectis.analytics, asking, period), period=period)
    ids = [domain.id for domain in asking.workspace.domains] + [str(uuid4())]
    for granularity in ("hourly", "daily"):
        period, domain = noise.choice(("1h", "24h", "7d", "30d")), noise.choice(ids)
        expected = partial(vectis.analytics, asking, period, granularity, domain)
        yield get(path, path, expected, period=period, granularity=granularity, domain_id=domain)
    yield get("/api/v1/tracking/stats", "/api/v1/tracking/stats", partial(vectis.tracking_stats, asking))


def of_optail(asking: Asking, noise: random.Random) -> Iterator[Ask]:
    for granularity in ("hour", "day", "week", "month"):
        start, end = (None, None) if granularity == "day" else instants(asking.now, noise)
        expected = partial(optail.metrics, asking, start, end, granularity)
        yield get("/v1/metrics", "/v1/metrics", expected, **{"from": start, "to": end, "granularity": granularity})
    for group_by in ("provider", "domain", "template"):
        start, end = instants(asking.now, noise)
        expected = partial(optail.breakdown, asking, start, end, group_by)
        path = "/v1/metrics/breakdown"
        yield get(path, path, expected, **{"from": start, "to": end, "groupBy": group_by})
    start, end = instants(asking.now, noise)
    path = "/v1/metrics/summary"
    yield get(path, path, partial(optail.summary, asking), **{})
    yield get(path, path, partial(optail.summary, asking, start, end), **{"from": start, "to": end})
    yield from of_optail_messages(asking, noise)


def of_optail_messages(asking: Asking, noise: random.Random) -> Iterator[Ask]:
    path = "/v1/messages"
    yield get(path, path, partial(optail.messages, asking))
    for status in ("QUEUED", "SENDING", "SENT", "DELIVERED", "BOUNCED", "FAILED"):
        page, limit = noise.choice((1, 1, 2)), noise.choice((1, 2, 100))
        expected = partial(optail.messages, asking, page, limit, status)
        yield get(path, path, expected, page=str(page), limit=str(limit), status=status)
    for search in ("hello", "ö", "%", "_", "0% OFF"):
        page, limit = noise.choice((1, 2)), noise.choice((1, 3, 20))
        expected = partial(optail.messages, asking, page, limit, None, search)
        yield get(path, path, expected, page=str(page), limit=str(limit), search=search)
    page = noise.randint(1, 7)
    yield get(path, path, partial(optail.messages, asking, page, 1), page=str(page), limit="1")
    for number in [*asking.history.messages, uuid4().bytes][:4]:
        one = str(UUID(bytes=number))
        yield get("/v1/messages/{id}", f"/v1/messages/{one}", partial(optail.message, asking, one))


def of_workspaces(asking: Asking, noise: random.Random) -> Iterator[Ask]:
    base = f"/api/v1/workspaces/{quote(asking.workspace.id)}"
    ids = [*asking.history.names, "nobody"]
    ranges = [("7d", None, None), (None, None, None), ("90d", None, None), (None, *instants(asking.now, noise))]
    for (time_range, start, end), group_by in zip(ranges, ("day", "week", "month", "day"), strict=True):
        campaign = noise.choice(ids)
        given = {"timeRange": time_range, "startDate": start, "endDate": end}
        expected = partial(workspaces.campaign_analytics, asking, campaign, time_range, start, end, group_by)
        path = f"{base}/campaigns/{quote(campaign, safe='')}/analytics"
        yield get(f"{WORKSPACES}/campaigns/{{campaignId}}/analytics", path, expected, **given, groupBy=group_by)
        expected = partial(workspaces.overview, asking, time_range, start, end)
        yield get(f"{WORKSPACES}/analytics/overview", f"{base}/analytics/overview", expected, **given)
    yield from of_deliverability(asking, noise, base, ids)
    for time_range, zone in (("30d", None), ("90d", noise.choice(ZONES[:3] + ZONES[5:]))):
        campaign_or_all = noise.choice([None, *ids])
        expected = partial(workspaces.heatmap, asking, time_range, campaign_or_all, zone)
        path = f"{base}/analytics/engagement-heatmap"
        parameters = {"timeRange": time_range, "campaignId": campaign_or_all, "timezone": zone}
        yield get(f"{WORKSPACES}/analytics/engagement-heatmap", path, expected, **parameters)


def of_deliverability(asking: Asking, noise: random.Random, base: str, ids: list[str]) -> Iterator[Ask]:
    domains = [None, None, *(domain.id for domain in asking.workspace.domains), str(uuid4())]
    for time_range in ("7d", "30d", "90d"):
        campaign, domain = noise.choice([None, None, *ids]), noise.choice(domains)
        expected = partial(deliverability.deliverability, asking, time_range, campaign, domain)
        path = f"{base}/analytics/deliverability"
        parameters = {"timeRange": time_range, "campaignId": campaign, "domainId": domain}
        yield get(f"{WORKSPACES}/analytics/deliverability", path, expected, **parameters)


def of_comparison(asking: Asking, noise: random.Random) -> Iterator[Ask]:
    path = f"/api/v1/workspaces/{quote(asking.workspace.id)}/analytics/compare"
    known = list(asking.campaigns())
    for metrics in (None, ["bounce_rate", "unsubscribe_rate"], ["click_to_open_rate", "spam_rate"]):
        chosen = noise.sample(known, min(len(known), noise.choice((2, 3)))) if len(known) > 1 else ["nobody", "none"]
        body: dict[str, Any] = {"campaign_ids": chosen, "time_range": noise.choice(("7d", "30d", "90d"))}
        body |= {"metrics": metrics} if metrics else {}
        expected = partial(comparison.compare, asking, chosen, metrics, body["time_range"])
        yield Ask(f"{WORKSPACES}/analytics/compare", path, expected, body)


def of_misar(asking: Asking, noise: random.Random) -> Iterator[Ask]:
    path = "/api/v1/analytics/overview"
    for period in ("7d", "30d", "90d"):
        yield get(path, path, partial(misar.overview, asking, period), period=period)
    start, end = instants(asking.now, noise)
    expected = partial(misar.overview, asking, "30d", start, end)
    yield get(path, path, expected, **{"from": start, "to": end})
    for campaign in [*asking.history.names, "nobody"]:
        path = f"/api/v1/analytics/campaigns/{quote(campaign, safe='')}"
        yield get("/api/v1/analytics/campaigns/{id}", path, partial(misar.campaign, asking, campaign))


def of_misar_client(asking: Asking, noise: random.Random) -> Iterator[Ask]:
    path = "/mail/v1/analytics"
    yield get(path, path, partial(misar.client, asking))
    for group_by in (None, noise.choice(misar.UNITS), "campaign", "domain"):
        start, end = instants(asking.now, noise)
        campaign = noise.choice([None, None, *asking.history.names, "nobody"])
        expected = partial(misar.client, asking, start, end, campaign, group_by)
        given = {"start_date": start, "end_date": end, "campaign_id": campaign, "group_by": group_by}
        yield get(path, path, expected, **{name: value for name, value in given.items() if value is not None})


def of_krafter(asking: Asking, noise: random.Random) -> Iterator[Ask]:
    path = "/api/v1/mail/stats"
    for period in ("1d", "7d", "30d", "90d", "fortnight"):
        yield get(path, path, partial(krafter.stats, asking, period), period=period)
    for days in ("1", "30", "400", noise.choice(("0", "-1", "x", "7"))):
        yield get(f"{path}/daily", f"{path}/daily", partial(krafter.daily, asking, days), days=days)


EVERY = (
    of_vectis,
    native_asks.of_native,
    of_optail,
    of_krafter,
    of_misar,
    of_misar_client,
    of_workspaces,
    of_comparison,
)


def asks(asking: Asking, noise: random.Random) -> list[Ask]:
    """Questions to every endpoint, with parameters at random."""
    return [ask for of in EVERY for ask in of(asking, noise)]
