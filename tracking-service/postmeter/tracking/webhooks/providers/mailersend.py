"""MailerSend: one JSON object per call; the header Signature is HMAC-SHA256 of the body, as hex.

https://developers.mailersend.com/api/v1/webhooks
The secret is the webhook's signing secret. Our id travels as the tag `postmeter_id:UUID`. The message's id is
`data.email.message.id`, which the send answer calls X-Message-Id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin
from postmeter.tracking.webhooks.reading import Reading

_TYPES = {
    "activity.sent": EventType.SENT,
    "activity.delivered": EventType.DELIVERED,
    "activity.deferred": EventType.DEFERRED,
    "activity.hard_bounced": EventType.BOUNCED,
    "activity.soft_bounced": EventType.BOUNCED,
    "activity.opened": EventType.OPENED,
    "activity.clicked": EventType.CLICKED,
    "activity.unsubscribed": EventType.UNSUBSCRIBED,
    "activity.spam_complaint": EventType.COMPLAINED,
}
"""`activity.opened_unique` and `activity.clicked_unique` come besides the plain ones and are kept as unknown."""


class _Address(msgspec.Struct):
    email: str = ""


class _Named(msgspec.Struct):
    id: str = ""


class _Email(msgspec.Struct):
    from_: str = msgspec.field(name="from", default="")
    subject: str | None = None
    tags: list[str] | None = None
    message: _Named = msgspec.field(default_factory=_Named)
    recipient: _Address = msgspec.field(default_factory=_Address)


class _Morph(msgspec.Struct):
    id: str = ""
    reason: str | None = None
    readable_reason: str | None = None
    url: str | None = None
    ip: str | None = None
    created_at: str | None = None


class _Data(msgspec.Struct):
    id: str = ""
    created_at: str = ""
    email: _Email = msgspec.field(default_factory=_Email)
    morph: _Morph | None = None
    template_id: Any = None


class _Item(msgspec.Struct):
    type: str = ""
    created_at: str = ""
    data: _Data = msgspec.field(default_factory=_Data)


_decoder = msgspec.json.Decoder(_Item)


async def _verify(delivery: Delivery, source: Source) -> None:
    given = signatures.header(delivery, "Signature")
    signatures.require(signatures.same(given, signatures.sha256_hex(source, delivery.body)))


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_object(delivery.body)


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    kind, data = _TYPES.get(told.type, EventType.UNKNOWN), told.data
    morph, email, tags = data.morph or _Morph(), data.email, data.email.tags or []
    ours = next((tag.partition(":")[2] for tag in tags if tag.startswith(f"{MESSAGE_KEY}:")), "")
    return [
        Reading(
            type=kind,
            name=told.type,
            at=moments.of_text(morph.created_at or data.created_at or told.created_at),
            event_id=data.id,
            message=ours,
            provider_message=email.message.id,
            recipient=email.recipient.email,
            bounce=(BounceType.HARD if told.type == "activity.hard_bounced" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=morph.reason or morph.readable_reason or "",
            url=morph.url or "",
            ip=morph.ip or "",
            from_address=email.from_,
            subject=email.subject or "",
            template=str(data.template_id or ""),
            tags=tuple(tag for tag in tags if not tag.startswith(f"{MESSAGE_KEY}:")),
        )
    ]


PROVIDER = Provider(
    slug="mailersend", name="MAILERSEND", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
