"""The endpoint table: it drives routing, authentication, limits, time-outs, error envelopes and OpenAPI alike."""

from __future__ import annotations

from postmeter.shared.apis import pages
from postmeter.shared.apis.document import NATIVE, Document
from postmeter.shared.apis.documents import exports, krafter, misar, optail, vectis, workspaces
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.mail import events, message_events, messages, sources, unsubscribe, webhooks
from postmeter.shared.apis.mail.message_events import HISTORY
from postmeter.shared.apis.people import keys, session, users
from postmeter.shared.apis.privacy import audit, ceilings, consent, preferences, subject_requests
from postmeter.shared.apis.queries import live, query, search
from postmeter.shared.apis.workspace import campaigns, sending_ips, verdicts, workspace

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
    *verdicts.ENDPOINTS,
    *sending_ips.ENDPOINTS,
    *ceilings.ENDPOINTS,
    *consent.ENDPOINTS,
    *subject_requests.ENDPOINTS,
    *audit.ENDPOINTS,
    *preferences.ENDPOINTS,
    live.LIVE_ENDPOINT,
    *webhooks.ENDPOINTS,
    *sources.ENDPOINTS,
    *unsubscribe.ENDPOINTS,
    *session.ENDPOINTS,
    *users.ENDPOINTS,
    *keys.ENDPOINTS,
    *pages.ENDPOINTS,
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
