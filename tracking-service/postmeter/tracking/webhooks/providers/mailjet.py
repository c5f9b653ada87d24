"""Mailjet: a JSON list (grouped) or one object per call. Nothing is signed; the URL carries a user and our password.

https://dev.mailjet.com/email/guides/webhooks/
Our id travels as CustomID, the UUID itself or `postmeter_id:UUID`, or in an EventPayload that is JSON. MessageID is
Mailjet's id of the message; its events have none, so an item's bytes stand for the event.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, marks, moments, signatures, unknown
from postmeter.tracking.webhooks.delivery import Delivery
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin
from postmeter.tracking.webhooks.reading import Reading

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


class _Item(msgspec.Struct):
    event: str
    time: int | float | None = None
    message_id: int | str = msgspec.field(name="MessageID", default="")
    email: str | None = None
    custom_id: str | None = msgspec.field(name="CustomID", default=None)
    payload: str | None = msgspec.field(name="Payload", default=None)
    customcampaign: str | None = None
    hard_bounce: bool = False
    error_related_to: str | None = None
    error: str | None = None
    comment: str | None = None
    url: str | None = None
    ip: str | None = None
    agent: str | None = None


_decoder = msgspec.json.Decoder(_Item)


def _items(delivery: Delivery) -> Sequence[bytes]:
    body = delivery.body
    return items.of_list(body) if body.lstrip()[:1] == b"[" else items.of_object(body)


def _kind(told: _Item) -> EventType:
    kind = _TYPES.get(told.event, EventType.UNKNOWN)
    # Mailjet's list of errors: greylisted is temporary, and delivery is tried again.
    if kind is EventType.BOUNCED and told.error == _GREYLISTED and not told.hard_bounce:
        return EventType.DEFERRED
    return kind


def _read(item: bytes) -> list[Reading]:
    try:
        told = _decoder.decode(item)
    except msgspec.ValidationError as error:
        return unknown.of(item, "event", _TYPES, error)
    kind = _kind(told)
    words = (told.comment, told.error_related_to, told.error) if kind in _REASONED else ()
    return [
        Reading(
            type=kind,
            name=told.event,
            at=moments.of_epoch(told.time),
            message=marks.of_json(told.payload or "") or (told.custom_id or "").removeprefix(f"{MESSAGE_KEY}:"),
            provider_message=str(told.message_id or ""),
            recipient=told.email or "",
            bounce=(BounceType.HARD if told.hard_bounce else BounceType.SOFT) if kind is EventType.BOUNCED else None,
            reason=" ".join(word for word in words if word),
            url=told.url or "",
            user_agent=told.agent or "",
            ip=told.ip or "",
            campaign=told.customcampaign or "",
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
