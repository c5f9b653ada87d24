"""A request to every endpoint of the table that names something of a caller's: what it is good for, and for whom."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
OURS, SIBLING, THEIRS, NOBODY = "zqmine", "zqmin2", "zqthem", "zqnone"
"""Marks in labels: a tenant's first and second domain, another tenant, nobody. Equally long."""
SCOPES = ("access", "analytics", "mail:read", "privacy", "track")


@dataclass(frozen=True)
class Ids:
    """What a caller may name. mark: whose it is."""

    mark: str
    workspace: str
    domain: str
    message: str
    export: str = ""
    cursor: str = ""
    campaigns_cursor: str = ""
    search_cursor: str = ""
    audit_cursor: str = ""
    source: str = ""
    user: str = ""
    key: str = ""
    session: str = ""
    erasure: str = str(uuid.UUID(int=7))
    ip: str = "9.9.9.9"

    @property
    def labels(self) -> dict[str, str]:
        return {
            "campaign": f"cmp-{self.mark}",
            "domain": f"{self.mark}.example",
            "template": f"tpl-{self.mark}",
            "provider": f"PRV-{self.mark.upper()}",
            "tag": f"tag-{self.mark}",
            "link": f"https://link.example/{self.mark}",
        }


@dataclass(frozen=True)
class Request:
    """One request as a client sends it."""

    method: str
    path: str
    body: Any = None


def get(path: str, **parameters: str) -> Request:
    return Request("GET", path + (f"?{urlencode(parameters)}" if parameters else ""))


Build = Callable[[Ids], Request]
WORKSPACES = "/api/v1/workspaces/{workspaceId}"
SECOND = f"cmp-{OURS}-b"
"""A second campaign of the first domain, to compare with."""


def query(ids: Ids, dimension: str) -> Request:
    body = {"metrics": ["clicks"], "dimensions": [dimension], "filters": {dimension: [ids.labels[dimension]]}}
    return Request("POST", "/v1/query", body)


def searched(ids: Ids, dimension: str) -> Request:
    return Request("POST", "/v1/messages/search", {"filters": {dimension: [ids.labels[dimension]]}})


def given(name: str, value: str) -> dict[str, str]:
    return {name: value} if value else {}


def base(ids: Ids) -> str:
    return f"/api/v1/workspaces/{ids.workspace}"


def keyed(mark: str, domain: str) -> dict[str, Any]:
    """An event with an idempotency key."""
    return {"events": [{"type": "received", "domain": f"{domain}.example", "id": f"key-{mark}"}]}


def purchase(mark: str, amount: str) -> dict[str, Any]:
    return {
        "contact_email": "c@c.example",
        "amount": float(amount),
        "currency": "EUR",
        "order_id": f"order-{mark}",
    }


def paged(cursor: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {"metrics": ["sent"], "dimensions": ["campaign"], "limit": 1}
    return body | ({"cursor": cursor} if cursor else {})


# A row of the endpoint table: requests that name something. They are good if what they name is the caller's own.
REQUESTS: dict[tuple[str, str], list[Build]] = {
    ("GET", "/api/v1/analytics"): [
        lambda ids: get("/api/v1/analytics", period="30d"),
        lambda ids: get("/api/v1/analytics", domain_id=ids.domain),
    ],
    ("GET", "/api/v1/tracking/stats"): [lambda ids: get("/api/v1/tracking/stats")],
    ("GET", "/v1/metrics"): [lambda ids: get("/v1/metrics")],
    ("GET", "/v1/metrics/breakdown"): [
        lambda ids: get("/v1/metrics/breakdown", groupBy="domain"),
        lambda ids: get("/v1/metrics/breakdown", groupBy="provider"),
        lambda ids: get("/v1/metrics/breakdown", groupBy="template"),
    ],
    ("GET", "/v1/metrics/summary"): [lambda ids: get("/v1/metrics/summary")],
    ("GET", "/v1/messages"): [
        lambda ids: get("/v1/messages"),
        lambda ids: get("/v1/messages", search=f"Secret of {ids.mark}"),
    ],
    ("GET", "/v1/messages/{id}"): [lambda ids: get(f"/v1/messages/{ids.message}")],
    ("GET", "/v1/messages/{id}/events"): [lambda ids: get(f"/v1/messages/{ids.message}/events")],
    ("GET", "/v1/workspace"): [lambda ids: get("/v1/workspace")],
    ("GET", "/api/v1/mail/stats"): [lambda ids: get("/api/v1/mail/stats")],
    ("GET", "/api/v1/mail/stats/daily"): [lambda ids: get("/api/v1/mail/stats/daily")],
    ("GET", f"{WORKSPACES}/campaigns/{{campaignId}}/analytics"): [
        lambda ids: get(f"{base(ids)}/campaigns/{ids.labels['campaign']}/analytics", timeRange="7d")
    ],
    ("GET", f"{WORKSPACES}/analytics/overview"): [lambda ids: get(f"{base(ids)}/analytics/overview")],
    ("GET", f"{WORKSPACES}/analytics/deliverability"): [
        lambda ids: get(f"{base(ids)}/analytics/deliverability", campaignId=ids.labels["campaign"]),
        lambda ids: get(f"{base(ids)}/analytics/deliverability", domainId=ids.domain),
    ],
    ("GET", f"{WORKSPACES}/analytics/engagement-heatmap"): [
        lambda ids: get(f"{base(ids)}/analytics/engagement-heatmap", campaignId=ids.labels["campaign"])
    ],
    ("POST", f"{WORKSPACES}/analytics/compare"): [
        lambda ids: Request(
            "POST", f"{base(ids)}/analytics/compare", {"campaign_ids": [SECOND, ids.labels["campaign"]]}
        )
    ],
    ("POST", f"{WORKSPACES}/analytics/export"): [
        lambda ids: Request(
            "POST",
            f"{base(ids)}/analytics/export",
            {"export_type": "campaign_performance", "campaign_ids": [ids.labels["campaign"]]},
        )
    ],
    ("GET", f"{WORKSPACES}/analytics/exports/{{exportId}}"): [
        lambda ids: get(f"{base(ids)}/analytics/exports/{ids.export}"),
    ],
    ("GET", "/api/v1/analytics/overview"): [lambda ids: get("/api/v1/analytics/overview")],
    ("GET", "/api/v1/analytics/campaigns/{id}"): [
        lambda ids: get(f"/api/v1/analytics/campaigns/{ids.labels['campaign']}")
    ],
    ("GET", "/mail/v1/analytics"): [
        lambda ids: get("/mail/v1/analytics", group_by="campaign"),
        lambda ids: get("/mail/v1/analytics", campaign_id=ids.labels["campaign"], group_by="domain"),
    ],
    ("POST", "/v1/query"): [
        lambda ids: query(ids, "campaign"),
        lambda ids: query(ids, "domain"),
        lambda ids: query(ids, "template"),
        lambda ids: query(ids, "provider"),
        lambda ids: query(ids, "tag"),
        lambda ids: query(ids, "link"),
        lambda ids: Request("POST", "/v1/query", paged(ids.cursor)),
        lambda ids: Request("POST", "/v1/query", {**paged(None), "workspace": ids.workspace, "limit": 100}),
    ],
    ("POST", "/v1/messages/search"): [
        lambda ids: searched(ids, "campaign"),
        lambda ids: searched(ids, "domain"),
        lambda ids: searched(ids, "template"),
        lambda ids: searched(ids, "provider"),
        lambda ids: searched(ids, "tag"),
        lambda ids: Request("POST", "/v1/messages/search", {"engagement": "opened", "workspace": ids.workspace}),
        lambda ids: Request("POST", "/v1/messages/search", {"limit": 1, **given("cursor", ids.search_cursor)}),
    ],
    ("GET", "/v1/live"): [],  # names nothing, and asks Postgres for longer than a request: test_live.py
    ("GET", "/v1/campaigns"): [
        lambda ids: get("/v1/campaigns"),
        lambda ids: get("/v1/campaigns", limit="1", cursor=ids.campaigns_cursor),
    ],
    ("PUT", "/v1/campaigns/{id}"): [
        lambda ids: Request("PUT", f"/v1/campaigns/{ids.labels['campaign']}", {"status": "paused"})
    ],
    ("POST", "/api/v1/track/event"): [
        lambda ids: Request(
            "POST", "/api/v1/track/event", {"event_name": "trial_started", "contact_email": f"{ids.mark}@c.example"}
        )
    ],
    ("POST", "/api/v1/track/purchase"): [
        lambda ids: Request("POST", "/api/v1/track/purchase", purchase(ids.mark, "12.50")),
    ],
    ("POST", "/mail/v1/track/event"): [
        lambda ids: Request(
            "POST", "/mail/v1/track/event", {"event_name": "trial_started", "contact_email": f"{ids.mark}@c.example"}
        )
    ],
    ("POST", "/mail/v1/track/purchase"): [
        lambda ids: Request("POST", "/mail/v1/track/purchase", purchase(ids.mark, "12.50")),
    ],
    ("POST", "/v1/sources"): [lambda ids: Request("POST", "/v1/sources", {"provider": "postmark"})],
    ("GET", "/v1/sources"): [lambda ids: get("/v1/sources")],
    ("GET", "/v1/sources/{id}"): [lambda ids: get(f"/v1/sources/{ids.source}")],
    ("PATCH", "/v1/sources/{id}"): [
        lambda ids: Request("PATCH", f"/v1/sources/{ids.source}", {"name": "another"}),
    ],
    ("DELETE", "/v1/sources/{id}"): [lambda ids: Request("DELETE", f"/v1/sources/{ids.source}")],
    ("POST", "/v1/users"): [
        lambda ids: Request("POST", "/v1/users", {"email": "new@c.example", "role": "viewer"}),
    ],
    ("GET", "/v1/users"): [lambda ids: get("/v1/users")],
    ("PATCH", "/v1/users/{id}"): [
        lambda ids: Request("PATCH", f"/v1/users/{ids.user}", {"role": "member", "reset": True}),
    ],
    ("DELETE", "/v1/users/{id}"): [lambda ids: Request("DELETE", f"/v1/users/{ids.user}")],
    ("POST", "/v1/keys"): [lambda ids: Request("POST", "/v1/keys", {"role": "member", "scopes": ["track"]})],
    ("GET", "/v1/domains"): [lambda ids: get("/v1/domains")],
    ("GET", "/v1/exports"): [lambda ids: get("/v1/exports")],
    ("GET", "/v1/verdicts"): [lambda ids: get("/v1/verdicts")],
    ("PUT", "/v1/verdicts"): [lambda ids: Request("PUT", "/v1/verdicts", {"early_seconds": 3})],
    ("GET", "/v1/privacy"): [lambda ids: get("/v1/privacy")],
    ("PUT", "/v1/privacy"): [lambda ids: Request("PUT", "/v1/privacy", {"retention": {"consent_months": 60}})],
    ("PUT", "/v1/recipients/consent"): [
        lambda ids: Request("PUT", "/v1/recipients/consent", {"to": f"{ids.mark}@n.example", "opens": "granted"})
    ],
    ("GET", "/v1/recipients/consent"): [lambda ids: get("/v1/recipients/consent", to_hash="ab" * 32)],
    ("POST", "/v1/recipients/erase"): [lambda ids: Request("POST", "/v1/recipients/erase", {"to": "nobody@c.example"})],
    ("POST", "/v1/recipients/export"): [
        lambda ids: Request("POST", "/v1/recipients/export", {"to": f"{ids.mark}@r.example"})
    ],
    ("GET", "/v1/recipients/erasures/{id}"): [lambda ids: get(f"/v1/recipients/erasures/{ids.erasure}")],
    ("GET", "/v1/audit"): [
        lambda ids: get("/v1/audit", limit="1"),
        lambda ids: get("/v1/audit", limit="1", **given("cursor", ids.audit_cursor)),
    ],
    ("GET", "/v1/sending-ips"): [lambda ids: get("/v1/sending-ips")],
    ("POST", "/v1/sending-ips"): [lambda ids: Request("POST", "/v1/sending-ips", {"ips": ["9.9.9.8"]})],
    ("DELETE", "/v1/sending-ips/{ip}"): [lambda ids: Request("DELETE", f"/v1/sending-ips/{ids.ip}")],
    ("GET", "/v1/keys"): [lambda ids: get("/v1/keys")],
    ("DELETE", "/v1/keys/{id}"): [lambda ids: Request("DELETE", f"/v1/keys/{ids.key}")],
    ("GET", "/sessions"): [lambda ids: get("/sessions")],
    ("DELETE", "/sessions/{id}"): [lambda ids: Request("DELETE", f"/sessions/{ids.session}")],
    ("DELETE", "/sessions"): [lambda ids: Request("DELETE", "/sessions")],
    ("POST", "/v1/messages"): [
        lambda ids: Request(
            "POST",
            "/v1/messages",
            {"id": ids.message, "from_address": f"a@{OURS}.example", "to": "b@c.example", "html": "<p>x</p>"},
        )
    ],
    ("POST", "/v1/events"): [
        lambda ids: Request("POST", "/v1/events", {"events": [{"type": "delivered", "message_id": ids.message}]}),
        lambda ids: Request("POST", "/v1/events", keyed(ids.mark, OURS)),
        lambda ids: Request(
            "POST",
            "/v1/events",
            {"events": [{"type": "sent", "provider": ids.labels["provider"], "provider_message_id": ids.mark}]},
        ),
    ],
}
FIELDS = (
    *("mark", "workspace", "domain", "message", "export", "cursor", "campaigns_cursor", "search_cursor", "source"),
    *("user", "key", "session", "ip", "erasure", "audit_cursor"),
)


def named(build: Build, own: Ids, other: Ids) -> list[str]:
    """The fields of Ids that a request names."""
    return [f for f in FIELDS if build(own) != build(replace(own, **{f: getattr(other, f)}))]
