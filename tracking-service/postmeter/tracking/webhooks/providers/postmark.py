"""Postmark: one JSON object per call. Postmark signs nothing; the webhook's URL carries a user and our password.

https://postmarkapp.com/developer/webhooks/webhooks-overview
Our id travels as the metadata `postmeter_id`. MessageID is Postmark's id of the message.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin
from postmeter.tracking.webhooks.reading import Reading

_TYPES = {
    "Delivery": EventType.DELIVERED,
    "Bounce": EventType.BOUNCED,
    "SpamComplaint": EventType.COMPLAINED,
    "Open": EventType.OPENED,
    "Click": EventType.CLICKED,
    "SubscriptionChange": EventType.UNSUBSCRIBED,
}
_SOFT = frozenset({"Transient", "SoftBounce", "DnsError", "Undeliverable", "ChallengeVerification", "AutoResponder"})
"""Values of a bounce's `Type` that may be over tomorrow (Postmark's list of bounce types)."""
_NO_BOUNCES = {
    "AutoResponder": EventType.UNKNOWN,
    "Subscribe": EventType.UNKNOWN,
    "Unsubscribe": EventType.UNSUBSCRIBED,
    "SpamComplaint": EventType.COMPLAINED,
}
"""What also comes as a Bounce, but is none."""


class _Item(msgspec.Struct, rename="pascal"):
    record_type: str = ""
    id: int | str = msgspec.field(name="ID", default="")
    type: str = ""
    message_id: str = msgspec.field(name="MessageID", default="")
    recipient: str = ""
    email: str = ""
    from_: str = msgspec.field(name="From", default="")
    subject: str = ""
    tag: str | None = None
    metadata: dict[str, str] = {}
    description: str | None = None
    details: str | None = None
    delivered_at: str = ""
    bounced_at: str = ""
    received_at: str = ""
    changed_at: str = ""
    original_link: str = ""
    user_agent: str = ""
    suppress_sending: bool = True
    geo: dict[str, str] = {}


_decoder = msgspec.json.Decoder(_Item)


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_object(delivery.body)


def _kind(told: _Item) -> EventType:
    kind = _TYPES.get(told.record_type, EventType.UNKNOWN)
    if kind is EventType.BOUNCED:
        return _NO_BOUNCES.get(told.type, kind)
    if kind is EventType.UNSUBSCRIBED and not told.suppress_sending:
        return EventType.UNKNOWN  # somebody subscribed again
    return kind


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    kind = _kind(told)
    return [
        Reading(
            type=kind,
            name=f"{told.record_type} {told.type}".strip(),
            at=moments.of_text(told.delivered_at or told.bounced_at or told.received_at or told.changed_at),
            event_id=str(told.id),
            message=told.metadata.get(MESSAGE_KEY, ""),
            provider_message=told.message_id,
            recipient=told.recipient or told.email,
            bounce=(BounceType.SOFT if told.type in _SOFT else BounceType.HARD) if kind is EventType.BOUNCED else None,
            reason=" ".join(part for part in (told.description, told.details) if part)
            if kind in (EventType.BOUNCED, EventType.COMPLAINED)
            else "",
            url=told.original_link,
            user_agent=told.user_agent,
            ip=told.geo.get("IP", ""),
            from_address=told.from_,
            subject=told.subject,
            tags=(told.tag,) if told.tag else (),
        )
    ]


PROVIDER = Provider(
    slug="postmark",
    name="POSTMARK",
    secret=SecretOrigin.OURS,
    verify=signatures.basic_auth,
    items=_items,
    read=_read,
)
