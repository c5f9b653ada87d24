"""SparkPost (Bird): a JSON list of `msys` objects. Nothing is signed; basic authentication carries our password.

https://developers.sparkpost.com/api/webhooks/
https://support.sparkpost.com/docs/deliverability/bounce-classification-codes
Our id travels in the recipient's (or the transmission's) metadata as `postmeter_id`. `message_id` is one recipient's
mail; what the send answer calls `id` is the transmission, one for all its recipients, so it names no message but with a
recipient, where generating that one's mail failed.
"""

from __future__ import annotations

from collections.abc import Sequence

from postmeter.shared.privacy import recipients
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.text import addresses
from postmeter.tracking.webhooks import items, lenient_json, moments, signatures
from postmeter.tracking.webhooks.lenient_json import JsonObject
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Delivery, ItemUnreadable, Provider, Reading, SecretOrigin

_TYPES = {
    "injection": EventType.SENT,
    "delivery": EventType.DELIVERED,
    "delay": EventType.DEFERRED,
    "bounce": EventType.BOUNCED,
    "out_of_band": EventType.BOUNCED,
    "policy_rejection": EventType.FAILED,
    "generation_failure": EventType.FAILED,
    "generation_rejection": EventType.FAILED,
    "spam_complaint": EventType.COMPLAINED,
    "open": EventType.OPENED,
    "amp_open": EventType.OPENED,
    "click": EventType.CLICKED,
    "amp_click": EventType.CLICKED,
    "list_unsubscribe": EventType.UNSUBSCRIBED,
    "link_unsubscribe": EventType.UNSUBSCRIBED,
}
"""`initial_open` is missing on purpose: it is the same opening, seen by a second pixel at the mail's top."""
_HARD = frozenset({"10", "30"})
"""Bounce classes that SparkPost calls hard; soft, blocked and undetermined ones are usually temporary."""
_CLASSES = {
    "25": EventType.FAILED,  # admin failure: suppressed by SparkPost's policies
    "26": EventType.FAILED,  # smart send suppression
    "90": EventType.UNSUBSCRIBED,  # a request to unsubscribe, sent to the mail's return path
}
"""Bounce classes of what is not a bounce: SparkPost did not try, or somebody answered."""
_GENERATION = frozenset({"generation_failure", "generation_rejection"})
"""Events of mail that was never made: they name a transmission and a recipient, and no message."""
_ACCOUNT = frozenset({"ab_test_event", "ingest_event"})
"""Envelopes of events that are of no single message."""


def _items(delivery: Delivery) -> Sequence[bytes]:
    """The batch's items; `[{"msys": {}}]` is how SparkPost tries a webhook out."""
    return [item for item in items.of_list(delivery.body) if b"".join(item.split()) != b'{"msys":{}}']


def _kind(event: JsonObject) -> EventType:
    kind = _TYPES.get(event.word("type"), EventType.UNKNOWN)
    return _CLASSES.get(event.word("bounce_class"), kind) if kind is EventType.BOUNCED else kind


def _read(body: bytes) -> list[Reading]:
    envelopes = lenient_json.item_of(body).object("msys")
    if len(envelopes.names()) != 1:
        raise ItemUnreadable("it holds no single event")
    (envelope,) = envelopes.names()
    event = envelopes.object(envelope)
    kind, recipient, bounce_class = _kind(event), event.text("raw_rcpt_to", "rcpt_to"), event.text("bounce_class")
    # Delivery events tell the address of the host that SparkPost spoke to, not of a person.
    engaged = kind in (EventType.OPENED, EventType.CLICKED, EventType.UNSUBSCRIBED) and not bounce_class
    return [
        Reading(
            type=kind,
            name=event.text("type") or envelope,
            at=moments.of(event.text("timestamp")),
            event_id=event.text("event_id"),
            message=event.object("rcpt_meta").text(MESSAGE_KEY),
            provider_message="" if envelope in _ACCOUNT else _message(event, recipient),
            recipient=recipient,
            bounce=(BounceType.HARD if bounce_class in _HARD else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=" ".join(word for word in (bounce_class, event.text("raw_reason", "reason", "fbtype")) if word),
            url=event.text("target_link_url"),
            user_agent=event.text("user_agent"),
            ip=event.text("ip_address") if engaged else "",
            from_address=event.text("friendly_from"),
            subject=event.text("subject"),
            campaign=event.text("campaign_id"),
            template=event.text("template_id"),
            tags=tuple(event.texts("rcpt_tags")),
        )
    ]


def _message(event: JsonObject, recipient: str) -> str:
    """SparkPost's id of the message; of one that was never made its transmission's, with a digest of the recipient."""
    message, transmission = event.text("message_id"), event.text("transmission_id")
    if message or not transmission or event.word("type") not in _GENERATION:
        return message
    digest = recipients.hash_of(recipient[: addresses.TEXT_CHARS])
    return f"{transmission}.{digest[:32]}"


PROVIDER = Provider(
    slug="sparkpost",
    name="SPARKPOST",
    secret=SecretOrigin.OURS,
    verify=signatures.basic_auth,
    items=_items,
    read=_read,
)
