"""MailerSend: one JSON object per call, of one of two versions; Signature is HMAC-SHA256 of the body, as hex.

https://developers.mailersend.com/api/v1/webhooks
https://www.mailersend.com/help/webhooks
The secret is the webhook's signing secret. Our id travels as the tag `postmeter_id:UUID`. The message's id is what
the send answer calls X-Message-Id: `data.message_id`, in the older version `data.email.message.id`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, marks, moments, signatures, unknown
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import Provider, SecretOrigin
from postmeter.tracking.webhooks.reading import Reading

_PING = "webhook.test"
_PING_SECRET = b"test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"
"""With what MailerSend signs the call that tries a URL out before the webhook, and its secret, exists. It is public:
it vouches for nothing but that call, which says nothing."""
_TYPES = {
    "activity.sent": EventType.SENT,
    "activity.delivered": EventType.DELIVERED,
    "activity.deferred": EventType.DEFERRED,
    "activity.soft_bounced": EventType.BOUNCED,
    "activity.hard_bounced": EventType.BOUNCED,
    "activity.suppressed": EventType.FAILED,
    "activity.opened": EventType.OPENED,
    "activity.opened_unique": EventType.OPENED,
    "activity.clicked": EventType.CLICKED,
    "activity.clicked_unique": EventType.CLICKED,
    "activity.unsubscribed": EventType.UNSUBSCRIBED,
    "activity.spam_complaint": EventType.COMPLAINED,
}
_REASONS = ("bounce_reason", "suppression_reason", "unsubscribe_reason", "reason", "readable_reason")
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED, EventType.UNSUBSCRIBED})
_ENGAGEMENT = frozenset({EventType.OPENED, EventType.CLICKED})


class _Address(msgspec.Struct):
    email: str = ""


class _Named(msgspec.Struct):
    id: str = ""


class _Email(msgspec.Struct):
    """`data.email` of the older version; in the newer one the recipient's address may stand in its place."""

    from_: str | None = msgspec.field(name="from", default=None)
    subject: str | None = None
    tags: list[str] | None = None
    message: _Named = msgspec.field(default_factory=_Named)
    recipient: _Address = msgspec.field(default_factory=_Address)


class _Data(msgspec.Struct):
    id: str = ""
    created_at: str | None = None
    message_id: str = ""
    subject: str | None = None
    recipient: str | None = None
    tags: list[str] | None = None
    email: _Email | str | None = None
    meta: Any = None
    morph: Any = None
    template_id: str | None = None


class _Item(msgspec.Struct):
    type: str
    created_at: str | None = None
    data: _Data = msgspec.field(default_factory=_Data)


_decoder = msgspec.json.Decoder(_Item)


class _Call(msgspec.Struct):
    type: str = ""


_call_decoder = msgspec.json.Decoder(_Call)


def _is_ping(body: bytes) -> bool:
    try:
        return _call_decoder.decode(body).type == _PING
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


async def _verify(delivery: Delivery, source: Source) -> None:
    given, body = signatures.header(delivery, "Signature"), delivery.body
    if signatures.same(given, hmac.new(_PING_SECRET, body, hashlib.sha256).hexdigest()) and _is_ping(body):
        return
    signatures.require(signatures.same(given, signatures.sha256_hex(source, body)))


def _items(delivery: Delivery) -> Sequence[bytes]:
    return [] if _is_ping(delivery.body) else items.of_object(delivery.body)


def _read(item: bytes) -> list[Reading]:
    try:
        told = _decoder.decode(item)
    except msgspec.ValidationError as error:
        return unknown.of(item, "type", _TYPES, error)
    kind, data = _TYPES.get(told.type, EventType.UNKNOWN), told.data
    email = data.email if isinstance(data.email, _Email) else _Email()
    recipient = data.recipient or email.recipient.email or (data.email if isinstance(data.email, str) else "")
    # What belongs to the kind of event: `meta`, an empty list where there is nothing; `morph` in the older version.
    more = data.meta if isinstance(data.meta, dict) else data.morph if isinstance(data.morph, dict) else {}
    code, words = more.get("bounce_code"), [marks.of_object(more, name) for name in _REASONS]
    at = moments.of_text(marks.of_object(more, "created_at") or data.created_at or told.created_at)
    url, ip = marks.of_object(more, "url"), marks.of_object(more, "ip")
    message = data.message_id or email.message.id
    ours, tags = marks.of_tags(data.tags or email.tags or ())
    # A first open or click is told as such besides, under another id: both are one, known by who, when and what.
    engaged = kind in _ENGAGEMENT and at is not None
    return [
        Reading(
            type=kind,
            name=told.type.removesuffix("_unique") if engaged else told.type,
            at=at,
            event_id=f"{message} {at} {ip} {url}" if engaged else data.id,
            message=ours,
            provider_message=message,
            recipient=recipient,
            bounce=(BounceType.HARD if told.type == "activity.hard_bounced" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=" ".join(str(word) for word in (code, *words) if word) if kind in _REASONED else "",
            url=url,
            user_agent=marks.of_object(more, "user_agent"),
            ip=ip,
            from_address=email.from_ or "",
            subject=data.subject or email.subject or "",
            template=data.template_id or "",
            tags=tags,
        )
    ]


PROVIDER = Provider(
    slug="mailersend", name="MAILERSEND", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
