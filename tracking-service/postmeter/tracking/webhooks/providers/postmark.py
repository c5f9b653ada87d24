"""Postmark: one JSON object per call. Postmark signs nothing; the webhook's URL carries a user and our password.

https://postmarkapp.com/developer/webhooks/webhooks-overview
https://postmarkapp.com/developer/api/bounce-api#bounce-types
Our id travels as the metadata `postmeter_id`. MessageID is what the send answer calls the message.
"""

from __future__ import annotations

from collections.abc import Sequence

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import items, lenient_json, moments, signatures
from postmeter.tracking.webhooks.lenient_json import JsonObject
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Delivery, Provider, Reading, SecretOrigin

_TYPES = {
    "delivery": EventType.DELIVERED,
    "bounce": EventType.BOUNCED,
    "spamcomplaint": EventType.COMPLAINED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "subscriptionchange": EventType.UNSUBSCRIBED,
}
_HARD = frozenset({"hardbounce", "bademailaddress"})
"""Values of a bounce's `Type` that say that the address does not exist; the others may be over tomorrow."""
_NO_BOUNCES = {
    "transient": EventType.DEFERRED,  # Postmark goes on trying
    "spamcomplaint": EventType.COMPLAINED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "subscribe": EventType.UNKNOWN,
    "autoresponder": EventType.UNKNOWN,
    "addresschange": EventType.UNKNOWN,
    "openrelaytest": EventType.UNKNOWN,
    "inbounderror": EventType.UNKNOWN,
    # Postmark did not try:
    "manuallydeactivated": EventType.FAILED,
    "unconfirmed": EventType.FAILED,
    "smtpapierror": EventType.FAILED,
    "templaterenderingfailed": EventType.FAILED,
}
"""What also comes as a Bounce, but is not one."""
_REASONED = (EventType.BOUNCED, EventType.COMPLAINED, EventType.FAILED, EventType.DEFERRED)
_NOBODY = "00000000-0000-0000-0000-000000000000"
"""The MessageID of some examples that the console sends."""


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_object(delivery.body)


def _kind(item: JsonObject) -> EventType:
    kind = _TYPES.get(item.word("RecordType"), EventType.UNKNOWN)
    if kind is EventType.BOUNCED:
        return _NO_BOUNCES.get(item.word("Type"), kind)
    if kind is EventType.UNSUBSCRIBED and not _unsubscribed(item):
        return EventType.UNKNOWN
    return kind


def _reactivated(item: JsonObject) -> bool:
    return bool(item.text("SuppressSending")) and not item.yes("SuppressSending")


def _unsubscribed(item: JsonObject) -> bool:
    """Whether a change of the suppression list is a recipient's wish: bounces and complaints come as such, too, and
    what the sender adds or takes off is nobody's wish.
    """
    by_recipient = item.word("Origin") in ("", "recipient")
    return by_recipient and item.word("SuppressionReason") in ("", "manualsuppression") and not _reactivated(item)


def _name(item: JsonObject) -> str:
    """Postmark's word for it, with what tells changes of the suppression list apart."""
    name = item.text("RecordType")
    if item.word("RecordType") != "subscriptionchange":
        return f"{name} {item.text('Type')}".strip() if name else ""
    return f"{name} {'reactivated' if _reactivated(item) else item.text('SuppressionReason')}".strip()


def _read(body: bytes) -> list[Reading]:
    item = lenient_json.item_of(body)
    kind, message, tag = _kind(item), item.text("MessageID"), item.text("Tag")
    words = [item.text(name) for name in ("Type", "Description", "Details")] if kind in _REASONED else []
    return [
        Reading(
            type=kind,
            name=_name(item),
            at=moments.of(item.text("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")),
            event_id=item.text("ID"),
            message=item.object("Metadata").text(MESSAGE_KEY),
            provider_message="" if message == _NOBODY else message,
            recipient=item.text("Recipient", "Email"),
            bounce=(BounceType.HARD if item.word("Type") in _HARD else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=" ".join(word for word in words if word),
            url=item.text("OriginalLink"),
            user_agent=item.text("UserAgent"),
            ip=item.object("Geo").text("IP"),
            from_address=item.text("From"),
            subject=item.text("Subject"),
            tags=(tag,) if tag else (),
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
