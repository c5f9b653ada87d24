"""Good requests for every endpoint of the table, for the tracking port and the ops ports."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qsl

from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.people import session
from postmeter.shared.apis.table import ENDPOINTS
from tests.acceptance.described_product import SITE, DescribedProduct, filled
from tests.fuzz import hooks
from tests.fuzz.drafts import Draft
from tests.product import Product

OPS = ("gateway", "tracking", "query", "aggregator")
LEDGER = "ledger"
"""The campaign of messages whose events are never changed, so that they can be counted."""
MESSAGES = 64
PARAMETERS = {
    "url": None, "expires": None, "signature": None, "domain_id": None, "cursor": None,
    # only with what they belong to
    "period": "7d", "granularity": "", "from": "2026-04-01", "to": "2026-04-20", "groupBy": "", "page": "1",
    "limit": "20",
    "status": "SENT", "search": "half", "days": "7", "timeRange": "30d", "startDate": None, "endDate": None,
    "campaignId": "spring",
    "domainId": None, "timezone": "Europe/Berlin",
}  # fmt: skip
"""A good value of each query parameter; "": the first that the document names; None: left out."""


class Seeds:
    """What a fuzz of one product starts from. Fails where an endpoint has no good request."""

    def __init__(self, product: Product) -> None:
        self.world: DescribedProduct = filled(product)
        self.key = product.headers["Authorization"].encode()
        self.others = [_key(product, *arguments) for arguments in _KEYS]
        self.ledger = [self._register(LEDGER, number) for number in range(MESSAGES)]
        self.messages = [self._register("told", number) for number in range(4)]
        self.drafts = [draft for endpoint in ENDPOINTS for draft in self._of(endpoint)]
        self.drafts += hooks.drafts_of(product, self.messages)
        self.drafts += [_plain(f"ops-{name}", path) for name in OPS for path in ("/metrics", "/healthz", "/readyz")]
        covered = {draft.name for draft in self.drafts}
        missing = {f"{one.method} {one.path}" for one in ENDPOINTS if not one.streams} - covered
        assert not missing, f"no good request for {missing}: see tests/fuzz/seeds.py"

    def event(self, number: int) -> Draft:
        """An event of the ledger, as nobody changes it."""
        told = {"type": "opened", "message_id": self.ledger[number % MESSAGES], "id": uuid.uuid4().hex}
        return self._keyed(Draft("gateway", "ledger", "POST", ["", "v1", "events"], body={"events": [told]}))

    def _keyed(self, draft: Draft) -> Draft:
        draft.headers.append((b"Authorization", self.key))
        return draft

    def _register(self, campaign: str, number: int) -> str:
        body = {"campaign_id": campaign, "from_address": "a@ledger.example", "to": f"r{number}@c.example"}
        answer = self.world.ask("POST", "/v1/messages", json=body)
        return str(answer.json()["data"]["id"])

    def _of(self, endpoint: Endpoint) -> list[Draft]:
        name = f"{endpoint.method} {endpoint.path}"
        if name == "POST /v1/webhooks/{provider}/{source}" or endpoint.streams:
            return []  # of each provider, above; or an answer without an end
        path, _, query = self.world.path(endpoint).partition("?")
        pairs: list[tuple[str | bytes, str | bytes]] = [*parse_qsl(query, keep_blank_values=True)]
        pairs += self._parameters(endpoint)
        made = []
        for body in self._bodies(name, endpoint):
            draft = Draft("gateway", name, endpoint.method, path.split("/"), [*pairs], body=body)
            draft.media = endpoint.body_media[0]
            if isinstance(body, bytes) and draft.media == "application/json":
                draft.media = "application/x-ndjson"
            made.append(self._keyed(draft) if not endpoint.is_public or endpoint.path == session.PATH else draft)
            if endpoint.scope is None and endpoint.service is Service.TRACKING and "webhooks" not in name:
                made.append(
                    Draft("tracking", name, endpoint.method, path.split("/"), [*pairs], body=body, media=draft.media)
                )
        return made

    def _parameters(self, endpoint: Endpoint) -> list[tuple[str, str]]:
        found = []
        for parameter in self.world.operation(endpoint).get("parameters", ()):
            if parameter["in"] == "query":
                value = PARAMETERS.get(parameter["name"])
                allowed = parameter["schema"].get("enum")
                if value is not None:
                    found.append((parameter["name"], value if not allowed or value in allowed else allowed[0]))
        return found

    def _bodies(self, name: str, endpoint: Endpoint) -> list[Any]:
        """The document's smallest body, and fuller ones where there is more to say."""
        if not endpoint.max_body:
            return [None]
        if endpoint.body_media[0] != "application/json":
            return [b"opens=granted&clicks=denied" if "preferences" in name else b"List-Unsubscribe=One-Click"]
        first = self.world.body(endpoint)
        return [first, *self._fuller(name)]

    def _fuller(self, name: str) -> list[Any]:
        message = {
            "campaign_id": "spring", "campaign_name": "Spring", "from_address": "News <news@shop.example>",
            "to": "b@c.example",
            "subject": "Half off", "provider": "postmark", "provider_account_id": "1", "provider_message_id": "m-1",
            "template": "offer", "tags": ["a", "b"], "html": SITE, "track_opens": True, "track_clicks": True,
            "honeypot": True, "recipient_ref": "reader-7",
        }  # fmt: skip
        events = [
            {"type": "opened", "message_id": self.messages[0], "user_agent": "Mail/1", "ip": "192.0.2.1", "id": "e-1"},
            {"type": "clicked", "message_id": self.messages[1], "url": "https://shop.example/offer?a=1"},
            {
                "type": "bounced",
                "message_id": self.messages[2],
                "bounce_type": "hard",
                "reason": "550 5.1.1 <x@y.example>",
            },
            {
                "type": "delivered",
                "provider": "postmark",
                "provider_message_id": "m-1",
                "timestamp": "2026-04-01T12:00:00Z",
            },
            {"type": "received", "domain": "shop.example", "size_bytes": 2048, "spam": False},
        ]
        query = {
            "metrics": ["sent", "opens"], "dimensions": ["campaign"], "filters": {"domain": ["shop.example"]},
            "from": "2026-04-01", "to": "2026-04-30", "timezone": "Europe/Berlin", "resolution": "day",
            "order_by": ["-opens"],
            "limit": 100,
        }  # fmt: skip
        contact = {
            "event_name": "signed_up",
            "contact_email": "b@c.example",
            "properties": {"plan": "pro", "n": [1, {"a": 2.5}]},
        }
        purchase = {
            "contact_email": "b@c.example", "amount": 99.99, "currency": "USD",
            "items": [{"name": "Pro", "quantity": 1, "price": 99.99}],
        }  # fmt: skip
        lines = b'{"type":"sent","message_id":"%s"}\n' % self.messages[3].encode()
        fuller: dict[str, list[Any]] = {
            "POST /v1/messages": [
                message,
                {"messages": [message, {"from_address": "a@b.example", "to": "c@d.example"}]},
            ],
            "POST /v1/events": [{"events": events}, {"events": events[:1]}, lines * 2],
            "POST /v1/query": [query],
            "POST /v1/sources": [{"provider": "resend", "name": "ours", "engagement": "own", "options": {}}],
            "PATCH /v1/sources/{id}": [{"name": "ours", "engagement": "provider", "rotate_secret": True}],
            "POST /v1/users": [{"email": "fuzz@c.example", "role": "member", "domains": ["shop.example"]}],
            "PATCH /v1/users/{id}": [{"role": "viewer", "domains": None, "disabled": False, "reset": True}],
            "POST /v1/keys": [
                {"role": "domain_admin", "scopes": ["track"], "domains": ["shop.example"], "name": "theirs"}
            ],
            "POST /v1/recipients/export": [
                {"to": "b@c.example", "before": "2026-04-01T12:00:00Z", "waiting_before": "2026-04-01T12:00:00Z"},
                {"to": "b@c.example", "purchases_before": "2026-04-01T12:00:00Z", "put_aside_before": "2026-04-02"},
                {"to": "b@c.example", "custom_events_before": "2026-04-01T12:00:00Z", "consent_before": "2026-04-02"},
            ],
            "POST /v1/recipients/erase": [{"to": "Nobody <nobody@c.example>"}, {"to_hash": "0" * 64}],
            "PUT /v1/privacy": [
                {
                    # Not the workspace's own levels: opens of the ledger are to be counted.
                    "domains": {"quiet.example": {"opens": "last_date", "clicks": "off"}},
                    "denied": {"clicks": "anonymous"},
                    "retention": {"history_months": 13, "consent_months": None},
                }
            ],
            "PUT /v1/recipients/consent": [
                {"to": "fuzz@r.example", "opens": "granted", "method": "form", "at": "2026-01-01T00:00:00Z"},
                {"recipients": [{"to_hash": "ab" * 32, "clicks": "denied", "source": "import", "text_version": "1"}]},
            ],
            "POST /api/v1/track/event": [contact],
            "POST /api/v1/track/purchase": [purchase, purchase | {"order_id": "order-2"}],
        }
        return fuller.get(name, [])


_KEYS = (
    ("fuzz-other", "super_admin", ("analytics", "track", "mail:read", "privacy"), ()),
    (None, "domain_admin", ("analytics", "track", "mail:read", "privacy"), ("shop.example",)),
    (None, "member", ("analytics",), ()),
)


def _key(
    product: Product, workspace: str | None, role: str, scopes: tuple[str, ...], domains: tuple[str, ...]
) -> bytes:
    """A key of another tenant, or of fewer rights, as an Authorization header."""
    if workspace is not None:
        hooks.command(product, "workspace", "create", workspace, "--name", "Other", "--timezone", "UTC")
    words = ["--workspace", workspace or product.ready["workspace"], "--role", role]
    words += [word for scope in scopes for word in ("--scope", scope)]
    words += [word for domain in domains for word in ("--domain", domain)]
    made = hooks.command(product, "key", "create", *words)
    return b"Bearer " + next(word for word in made.split() if word.startswith("pm_")).encode()


def _plain(port: str, path: str) -> Draft:
    return Draft(port, f"{port} {path}", "GET", path.split("/"))
