"""Mailjet: a JSON list (grouped) or one object per call. Nothing is signed; the URL carries a user and our password.

https://dev.mailjet.com/email/guides/webhooks/
Our id travels as CustomID: the UUID itself or `postmeter_id:UUID`. MessageID is Mailjet's id of the message.
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
    "sent": EventType.DELIVERED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "bounce": EventType.BOUNCED,
    "blocked": EventType.FAILED,
    "spam": EventType.COMPLAINED,
    "unsub": EventType.UNSUBSCRIBED,
}
"""Mailjet's `sent` is told once the recipient's server has taken the mail."""


class _Item(msgspec.Struct):
    event: str = ""
    time: int | float | None = None
    message_id: int | str = msgspec.field(name="MessageID", default="")
    email: str = ""
    custom_id: str | None = msgspec.field(name="CustomID", default=None)
    customcampaign: str | None = None
    hard_bounce: bool = False
    blocked: bool = False
    error_related_to: str | None = None
    error: str | None = None
    comment: str | None = None
    source: str | None = None
    smtp_reply: str | None = None
    url: str | None = None
    ip: str | None = None
    agent: str | None = None


_decoder = msgspec.json.Decoder(_Item)


def _items(delivery: Delivery) -> Sequence[bytes]:
    body = delivery.body
    return items.of_list(body) if body.lstrip()[:1] == b"[" else items.of_object(body)


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    kind = _TYPES.get(told.event, EventType.UNKNOWN)
    reasons = (told.comment, told.error_related_to, told.error) if kind is not EventType.DELIVERED else ()
    return [
        Reading(
            type=kind,
            name=told.event,
            at=moments.of_epoch(told.time),
            message=(told.custom_id or "").removeprefix(f"{MESSAGE_KEY}:"),
            provider_message=str(told.message_id or ""),
            recipient=told.email,
            bounce=(BounceType.HARD if told.hard_bounce else BounceType.SOFT) if kind is EventType.BOUNCED else None,
            reason=" ".join(reason for reason in reasons if reason),
            url=told.url or "",
            user_agent=told.agent or "",
            ip=told.ip or "",
            campaign=told.customcampaign or "",
        )
    ]


PROVIDER = Provider(
    slug="mailjet", name="MAILJET", secret=SecretOrigin.OURS, verify=signatures.basic_auth, items=_items, read=_read
)
