"""SparkPost (Bird): a JSON list of `msys` objects. Nothing is signed; basic authentication carries our password.

https://developers.sparkpost.com/api/webhooks/
https://support.sparkpost.com/docs/deliverability/bounce-classification-codes
Our id travels in the recipient's (or the transmission's) metadata as `postmeter_id`. `message_id` is one recipient's
mail; what the send answer calls `id` is the transmission, one for all its recipients, so it names no message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin
from postmeter.tracking.webhooks.reading import Reading, Unreadable

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
_HARD = frozenset({"10", "30", "90"})
"""Bounce classes that SparkPost calls hard; soft, blocked and undetermined ones are usually temporary."""
_CLASSES = {
    "25": EventType.FAILED,  # admin failure: suppressed by SparkPost's policies
    "26": EventType.FAILED,  # smart send suppression
    "60": EventType.UNKNOWN,  # an automatic reply
    "80": EventType.UNKNOWN,  # a request to subscribe
}
"""Bounce classes of what is no bounce: SparkPost did not try, or somebody answered."""
_ACCOUNT = frozenset({"ab_test_event", "ingest_event"})
"""Envelopes of events that are of no single message."""


class _Event(msgspec.Struct):
    type: str = ""
    event_id: str | int | None = None
    timestamp: int | float | str | None = None
    message_id: str | None = None
    rcpt_to: str | None = None
    raw_rcpt_to: str | None = None
    rcpt_meta: Any = None
    rcpt_tags: list[str] | None = None
    bounce_class: int | str | None = None
    raw_reason: str | None = None
    reason: str | None = None
    fbtype: str | None = None
    target_link_url: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None
    friendly_from: str | None = None
    subject: str | None = None
    campaign_id: str | None = None
    template_id: str | None = None


_envelope_decoder = msgspec.json.Decoder(dict[str, dict[str, msgspec.Raw]])
_decoder = msgspec.json.Decoder(_Event)


def _items(delivery: Delivery) -> Sequence[bytes]:
    """The batch's items; `[{"msys": {}}]` is how SparkPost tries a webhook out."""
    return [item for item in items.of_list(delivery.body) if b"".join(item.split()) != b'{"msys":{}}']


def _kind(told: _Event) -> EventType:
    kind = _TYPES.get(told.type, EventType.UNKNOWN)
    return _CLASSES.get(str(told.bounce_class), kind) if kind is EventType.BOUNCED else kind


def _read(item: bytes) -> list[Reading]:
    inner = _envelope_decoder.decode(item).get("msys", {})
    if len(inner) != 1:
        raise Unreadable("it holds no single event")
    ((envelope, content),) = inner.items()
    told = _decoder.decode(content)
    kind = _kind(told)
    metadata = told.rcpt_meta if isinstance(told.rcpt_meta, dict) else {}
    reason = told.raw_reason or told.reason or told.fbtype or ""
    # Delivery events tell the address of the host that SparkPost spoke to, not of a person.
    engaged = kind in (EventType.OPENED, EventType.CLICKED, EventType.UNSUBSCRIBED)
    return [
        Reading(
            type=kind,
            name=told.type or envelope,
            at=_moment(told.timestamp),
            event_id=str(told.event_id or ""),
            message=str(metadata.get(MESSAGE_KEY) or ""),
            provider_message="" if envelope in _ACCOUNT else told.message_id or "",
            recipient=told.raw_rcpt_to or told.rcpt_to or "",
            bounce=_bounce(told) if kind is EventType.BOUNCED else None,
            reason=f"{told.bounce_class} {reason}".strip() if told.bounce_class else reason,
            url=told.target_link_url or "",
            user_agent=told.user_agent or "",
            ip=(told.ip_address or "") if engaged else "",
            from_address=told.friendly_from or "",
            subject=told.subject or "",
            campaign=told.campaign_id or "",
            template=told.template_id or "",
            tags=tuple(told.rcpt_tags or ()),
        )
    ]


def _bounce(told: _Event) -> BounceType:
    return BounceType.HARD if str(told.bounce_class) in _HARD else BounceType.SOFT


def _moment(value: float | int | str | None) -> int | None:
    """Webhooks tell Unix seconds, events fetched from SparkPost's API and sent on ISO 8601."""
    return moments.of_text(value) if isinstance(value, str) and "T" in value else moments.of_epoch(value)


PROVIDER = Provider(
    slug="sparkpost",
    name="SPARKPOST",
    secret=SecretOrigin.OURS,
    verify=signatures.basic_auth,
    items=_items,
    read=_read,
)
