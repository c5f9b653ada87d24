"""`GET /v1/messages/{id}/events`: one message with its whole history."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described, one_of
from postmeter.shared.stream.events import EventType

HISTORY = "/events"
"""How the path ends: Optail's own message is at the path without it."""


class HistoryEvent(Struct):
    """One event. counted: false for what is kept in the history only. claimed_at: the time that was told for it, where
    that was too far away to be believed.
    """

    type: Annotated[str, one_of(*(kind.name.lower() for kind in EventType))]
    at: Timestamp
    verdict: Annotated[str | None, described("Of opens and clicks.", enum=["human", "proxy", "machine", None])]
    verdict_reason: Annotated[str | None, described("Why it is so: docs/verdicts.md.")]
    bounce_type: Annotated[str | None, described("Of bounces.", enum=["hard", "soft", None])]
    reason: str | None
    url: str | None
    user_agent: str | None
    network: Annotated[str | None, described("The client's /24 or /48.")]
    counted: bool
    claimed_at: Timestamp | None


class MessageHistory(Struct):
    """A message and what happened to it, by time: at most the latest 1,000 events."""

    id: str
    campaign: str | None
    from_address: str
    recipient_ref: str | None
    to_hash: str
    subject: str
    status: Annotated[str, one_of("queued", "sending", "sent", "delivered", "bounced", "failed", "complained")]
    provider: str | None
    provider_message_id: str | None
    template: str | None
    mailbox_provider: str | None
    tags: list[str]
    created_at: Timestamp
    sent_at: Timestamp | None
    delivered_at: Timestamp | None
    events: list[HistoryEvent]


class MessageEventsAnswer(Struct):
    """GET /v1/messages/{id}/events."""

    data: MessageHistory


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/messages/{id}" + HISTORY,
        document=NATIVE,
        service=Service.QUERY,
        summary="One message with its whole history: each event with its verdict and the reason",
        scope="analytics",
        limit=Limit.READ,
        answer=MessageEventsAnswer,
        caching=Caching.UNTIL_CHANGED,
        failures=(404,),
    ),
)
