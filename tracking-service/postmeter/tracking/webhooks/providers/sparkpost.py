"""SparkPost (Bird): a JSON list of `msys` objects. Nothing is signed; basic authentication carries our password.

https://developers.sparkpost.com/api/webhooks/, https://developers.sparkpost.com/api/events/
Our id travels in the recipient's or the transmission's metadata as `postmeter_id`. `transmission_id` is what the
send answer calls the mail, one for all its recipients; `message_id` is one recipient's.
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
    "initial_open": EventType.UNKNOWN,
    "amp_open": EventType.OPENED,
    "amp_initial_open": EventType.UNKNOWN,
    "click": EventType.CLICKED,
    "amp_click": EventType.CLICKED,
    "list_unsubscribe": EventType.UNSUBSCRIBED,
    "link_unsubscribe": EventType.UNSUBSCRIBED,
}
"""`initial_open` comes for most opens besides `open` or instead of it: see the page of this provider."""
_HARD = frozenset({"10", "30", "90"})
"""Bounce classes that SparkPost calls hard; 25 and 50-54 are blocks, 20-24, 40, 60, 70, 100 soft."""


class _Event(msgspec.Struct):
    type: str = ""
    event_id: str = ""
    timestamp: int | float | str | None = None
    message_id: str = ""
    rcpt_to: str = ""
    raw_rcpt_to: str = ""
    rcpt_meta: Any = None
    rcpt_tags: list[str] | None = None
    bounce_class: int | str = ""
    raw_reason: str = ""
    reason: str = ""
    error_code: int | str | None = None
    target_link_url: str = ""
    user_agent: str = ""
    ip_address: str = ""
    friendly_from: str = ""
    subject: str = ""
    campaign_id: str = ""
    template_id: str = ""


_outer_decoder = msgspec.json.Decoder(dict[str, dict[str, msgspec.Raw]])
_decoder = msgspec.json.Decoder(_Event)


def _items(delivery: Delivery) -> Sequence[bytes]:
    found = items.of_list(delivery.body)
    # A call that tries the webhook out carries [{"msys": {}}].
    return [] if found == [b'{"msys":{}}'] or found == [b'{"msys": {}}'] else found


def _read(item: bytes) -> list[Reading]:
    inner = _outer_decoder.decode(item).get("msys", {})
    if not inner:
        raise Unreadable("it holds no event")
    told = _decoder.decode(next(iter(inner.values())))
    kind = _TYPES.get(told.type, EventType.UNKNOWN)
    metadata = told.rcpt_meta if isinstance(told.rcpt_meta, dict) else {}
    bounce = BounceType.HARD if str(told.bounce_class) in _HARD else BounceType.SOFT
    return [
        Reading(
            type=kind,
            name=told.type,
            at=moments.of_epoch(told.timestamp),
            event_id=told.event_id,
            message=str(metadata.get(MESSAGE_KEY, "")),
            provider_message=told.message_id,
            recipient=told.raw_rcpt_to or told.rcpt_to,
            bounce=bounce if kind is EventType.BOUNCED else None,
            reason=told.raw_reason or told.reason,
            url=told.target_link_url,
            user_agent=told.user_agent,
            ip=told.ip_address,
            from_address=told.friendly_from,
            subject=told.subject,
            campaign=told.campaign_id,
            template=told.template_id,
            tags=tuple(told.rcpt_tags or ()),
        )
    ]


PROVIDER = Provider(
    slug="sparkpost",
    name="SPARKPOST",
    secret=SecretOrigin.OURS,
    verify=signatures.basic_auth,
    items=_items,
    read=_read,
)
