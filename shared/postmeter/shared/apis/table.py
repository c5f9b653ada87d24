"""The endpoint table: it drives routing, authentication, limits, time-outs, error envelopes and OpenAPI alike."""

from __future__ import annotations

from postmeter.shared.apis import (
    audit,
    campaigns,
    consent,
    domains,
    events,
    exports,
    keys,
    krafter,
    live,
    message_events,
    messages,
    meta,
    misar,
    optail,
    preferences,
    privacy,
    query,
    recipients,
    search,
    sending_ips,
    session,
    sources,
    unsubscribe,
    users,
    vectis,
    verdicts,
    webhooks,
    workspace,
    workspaces,
)
from postmeter.shared.apis.document import NATIVE, Document
from postmeter.shared.apis.endpoint import Endpoint, Limit, Service
from postmeter.shared.apis.message_events import HISTORY
from postmeter.shared.apis.vectis import CLICK_PATH, OPEN_PATH

__all__ = [
    "CLICK_PATH",
    "DOCUMENTS",
    "ENDPOINTS",
    "NATIVE",
    "OPEN_PATH",
    "Document",
    "Endpoint",
    "Limit",
    "Service",
    "document_of",
]

ENDPOINTS: tuple[Endpoint, ...] = (
    *vectis.ENDPOINTS,
    *optail.ENDPOINTS,
    *krafter.ENDPOINTS,
    *workspaces.ENDPOINTS,
    *exports.ENDPOINTS,
    *misar.ENDPOINTS,
    *query.ENDPOINTS,
    *messages.ENDPOINTS,
    *events.ENDPOINTS,
    *campaigns.ENDPOINTS,
    *search.ENDPOINTS,
    *message_events.ENDPOINTS,
    *workspace.ENDPOINTS,
    *domains.ENDPOINTS,
    *verdicts.ENDPOINTS,
    *sending_ips.ENDPOINTS,
    *privacy.ENDPOINTS,
    *consent.ENDPOINTS,
    *recipients.ENDPOINTS,
    *audit.ENDPOINTS,
    *preferences.ENDPOINTS,
    live.LIVE_ENDPOINT,
    *webhooks.ENDPOINTS,
    *sources.ENDPOINTS,
    *unsubscribe.ENDPOINTS,
    *session.ENDPOINTS,
    *users.ENDPOINTS,
    *keys.ENDPOINTS,
    *meta.ENDPOINTS,
)

DOCUMENTS: tuple[Document, ...] = (
    NATIVE,
    vectis.DOCUMENT,
    optail.DOCUMENT,
    workspaces.DOCUMENT,
    misar.DOCUMENT,
    krafter.DOCUMENT,
)
"""In the order of the OpenAPI document."""
_BEGINNINGS = sorted(
    ((path, document) for document in DOCUMENTS for path in document.paths), key=lambda one: len(one[0]), reverse=True
)


def document_of(path: str, method: str = "GET") -> Document:
    """The document whose envelope an answer on `path` has, also for paths that do not exist."""
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return NATIVE if method == "POST" or path.endswith(HISTORY) else optail.DOCUMENT
    return next((document for beginning, document in _BEGINNINGS if path.startswith(beginning)), NATIVE)
