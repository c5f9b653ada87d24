"""Mailjet: a JSON list (grouped) or one object per call. Nothing is signed; the URL carries a user and our password.

https://dev.mailjet.com/email/guides/webhooks/
Our id travels as CustomID, the UUID itself or `postmeter_id:UUID`, or in an EventPayload that is JSON. MessageID is
Mailjet's id of the message; its events have none, so an item's bytes stand for the event.
"""

from __future__ import annotations

from collections.abc import Sequence

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import items, lenient_json, marks, moments, signatures
from postmeter.tracking.webhooks.lenient_json import JsonObject
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Delivery, Provider, Reading, SecretOrigin

_TYPES = {
    "sent": EventType.DELIVERED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "bounce": EventType.BOUNCED,
    "blocked": EventType.FAILED,
    "spam": EventType.COMPLAINED,
    "unsub": EventType.UNSUBSCRIBED,
}
"""Mailjet's `sent` is told once the recipient's server has taken the mail; its own acceptance is not told."""
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED})
_GREYLISTED = "greylisted"


def _items(delivery: Delivery) -> Sequence[bytes]:
    body = delivery.body
    return items.of_list(body) if body.lstrip()[:1] == b"[" else items.of_object(body)


def _kind(item: JsonObject) -> EventType:
    kind = _TYPES.get(item.word("event"), EventType.UNKNOWN)
    # Mailjet's list of errors: greylisted is temporary, and delivery is tried again.
    if kind is EventType.BOUNCED and item.word("error") == _GREYLISTED and not item.yes("hard_bounce"):
        return EventType.DEFERRED
    return kind


def _read(body: bytes) -> list[Reading]:
    item = lenient_json.item_of(body)
    kind = _kind(item)
    words = [item.text(name) for name in ("comment", "error_related_to", "error")] if kind in _REASONED else []
    return [
        Reading(
            type=kind,
            name=item.text("event"),
            at=moments.of(item.text("time")),
            message=marks.of_json(item.text("Payload")) or item.text("CustomID").removeprefix(f"{MESSAGE_KEY}:"),
            provider_message=item.text("MessageID"),
            recipient=item.text("email"),
            bounce=(BounceType.HARD if item.yes("hard_bounce") else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=" ".join(word for word in words if word),
            url=item.text("url"),
            user_agent=item.text("agent"),
            ip=item.text("ip"),
            campaign=item.text("customcampaign"),
        )
    ]


PROVIDER = Provider(
    slug="mailjet",
    name="MAILJET",
    secret=SecretOrigin.OURS,
    verify=signatures.basic_auth,
    items=_items,
    read=_read,
    password_in_url=True,
)
