"""Postmark: one JSON object per call. Postmark signs nothing; the webhook's URL carries a user and our password.

https://postmarkapp.com/developer/webhooks/webhooks-overview
https://postmarkapp.com/developer/api/bounce-api#bounce-types
Our id travels as the metadata `postmeter_id`. MessageID is what the send answer calls the message.
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
_HARD = frozenset({"HardBounce", "BadEmailAddress"})
"""Values of a bounce's `Type` that say that the address does not exist; the others may be over tomorrow."""
_NO_BOUNCES = {
    "Transient": EventType.DEFERRED,  # Postmark goes on trying
    "SpamComplaint": EventType.COMPLAINED,
    "Unsubscribe": EventType.UNSUBSCRIBED,
    "Subscribe": EventType.UNKNOWN,
    "AutoResponder": EventType.UNKNOWN,
    "AddressChange": EventType.UNKNOWN,
    "OpenRelayTest": EventType.UNKNOWN,
    "InboundError": EventType.UNKNOWN,
    # Postmark did not try:
    "ManuallyDeactivated": EventType.FAILED,
    "Unconfirmed": EventType.FAILED,
    "SMTPApiError": EventType.FAILED,
    "TemplateRenderingFailed": EventType.FAILED,
}
"""What also comes as a Bounce, but is none."""
_REASONED = (EventType.BOUNCED, EventType.COMPLAINED, EventType.FAILED, EventType.DEFERRED)
_NOBODY = "00000000-0000-0000-0000-000000000000"
"""The MessageID of some examples that the console sends."""


class _Item(msgspec.Struct, rename="pascal"):
    record_type: str = ""
    id: int | str | None = msgspec.field(name="ID", default=None)
    type: str | None = None
    message_id: str | None = msgspec.field(name="MessageID", default=None)
    recipient: str | None = None
    email: str | None = None
    from_: str | None = msgspec.field(name="From", default=None)
    subject: str | None = None
    tag: str | None = None
    metadata: dict[str, str | None] | None = None
    description: str | None = None
    details: str | None = None
    delivered_at: str | None = None
    bounced_at: str | None = None
    received_at: str | None = None
    changed_at: str | None = None
    original_link: str | None = None
    user_agent: str | None = None
    suppress_sending: bool | None = None
    suppression_reason: str | None = None
    origin: str | None = None
    geo: dict[str, str | None] | None = None


_decoder = msgspec.json.Decoder(_Item)


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_object(delivery.body)


def _kind(told: _Item) -> EventType:
    kind = _TYPES.get(told.record_type, EventType.UNKNOWN)
    if kind is EventType.BOUNCED:
        return _NO_BOUNCES.get(told.type or "", kind)
    if kind is EventType.UNSUBSCRIBED and not _unsubscribed(told):
        return EventType.UNKNOWN
    return kind


def _unsubscribed(told: _Item) -> bool:
    """Whether a change of the suppression list is a recipient's wish: bounces and complaints come as such, too, and
    what the sender adds or takes off is nobody's wish.
    """
    by_recipient = told.origin in (None, "Recipient")
    return (
        told.suppress_sending is not False and by_recipient and told.suppression_reason in (None, "ManualSuppression")
    )


def _name(told: _Item) -> str:
    """Postmark's word for it, with what tells changes of the suppression list apart."""
    if told.record_type != "SubscriptionChange":
        return f"{told.record_type} {told.type or ''}".strip()
    return f"SubscriptionChange {'reactivated' if told.suppress_sending is False else told.suppression_reason or ''}"


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    kind = _kind(told)
    return [
        Reading(
            type=kind,
            name=_name(told).strip(),
            at=moments.of_text(told.delivered_at or told.bounced_at or told.received_at or told.changed_at),
            event_id=str(told.id or ""),
            message=(told.metadata or {}).get(MESSAGE_KEY) or "",
            provider_message="" if told.message_id in (None, _NOBODY) else told.message_id or "",
            recipient=told.recipient or told.email or "",
            bounce=(BounceType.HARD if told.type in _HARD else BounceType.SOFT) if kind is EventType.BOUNCED else None,
            reason=" ".join(part for part in (told.type, told.description, told.details) if part)
            if kind in _REASONED
            else "",
            url=told.original_link or "",
            user_agent=told.user_agent or "",
            ip=(told.geo or {}).get("IP") or "",
            from_address=told.from_ or "",
            subject=told.subject or "",
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
    password_in_url=True,
)
