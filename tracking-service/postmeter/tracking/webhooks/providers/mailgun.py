"""Mailgun: one JSON object per call, signed inside its body: HMAC-SHA256 of timestamp and token.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
The secret is the account's HTTP webhook signing key. The signature covers the timestamp and a token only, not the
event: what it protects is that nobody without the key can make one, so a token is good for its time and no longer.
Our id travels as the variable `v:postmeter_id`. The message's id is its Message-Id, as the send answer gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin, refused
from postmeter.tracking.webhooks.reading import Reading

FRESH_SECONDS = 12 * 3600.0
"""Mailgun tries a delivery again for eight hours, with the signature of the first attempt."""
_TYPES = {
    "accepted": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "opened": EventType.OPENED,
    "clicked": EventType.CLICKED,
    "complained": EventType.COMPLAINED,
    "unsubscribed": EventType.UNSUBSCRIBED,
    "rejected": EventType.FAILED,
}
_SUPPRESSED = ("suppress-bounce", "suppress-complaint", "suppress-unsubscribe")
"""Reasons of a permanent failure for which Mailgun did not try to deliver."""


class _Signature(msgspec.Struct):
    timestamp: str
    token: str
    signature: str


class _Signed(msgspec.Struct):
    signature: _Signature


class _Headers(msgspec.Struct, rename="kebab"):
    message_id: str = ""
    from_: str = msgspec.field(name="from", default="")
    subject: str = ""


class _Message(msgspec.Struct):
    headers: _Headers = msgspec.field(default_factory=_Headers)


class _Status(msgspec.Struct, rename="kebab"):
    code: int | str | None = None
    enhanced_code: str | None = None
    message: str | None = None
    description: str | None = None


class _Client(msgspec.Struct, rename="kebab"):
    user_agent: str = ""


class _Data(msgspec.Struct, rename="kebab"):
    event: str = ""
    id: str = ""
    timestamp: float | None = None
    severity: str = ""
    reason: str = ""
    recipient: str = ""
    url: str = ""
    ip: str = ""
    template: Any = None
    tags: list[str] | None = None
    message: _Message = msgspec.field(default_factory=_Message)
    delivery_status: _Status = msgspec.field(default_factory=_Status)
    client_info: _Client = msgspec.field(default_factory=_Client)
    user_variables: Any = None


class _Item(msgspec.Struct, rename="kebab"):
    event_data: _Data


_signed_decoder = msgspec.json.Decoder(_Signed)
_decoder = msgspec.json.Decoder(_Item)


async def _verify(delivery: Delivery, source: Source) -> None:
    try:
        signed = _signed_decoder.decode(delivery.body).signature
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refused("The body carries no signature: is this an event webhook of Mailgun?") from None
    right = signatures.sha256_hex(source, (signed.timestamp + signed.token).encode("utf-8", "surrogateescape"))
    signatures.require(signatures.same(signed.signature, right))
    signatures.fresh(delivery, signed.timestamp, FRESH_SECONDS)


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_object(delivery.body)


def _kind(told: _Data) -> tuple[EventType, BounceType | None]:
    if told.event != "failed":
        return _TYPES.get(told.event, EventType.UNKNOWN), None
    if told.severity == "temporary":
        return EventType.DEFERRED, None  # Mailgun goes on trying
    if told.reason in _SUPPRESSED:
        return EventType.FAILED, None
    # `old`: tried for too long; `generic` may be anything that was tried for good.
    return EventType.BOUNCED, BounceType.SOFT if told.reason == "old" else BounceType.HARD


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item).event_data
    kind, bounce = _kind(told)
    status, headers = told.delivery_status, told.message.headers
    variables = told.user_variables if isinstance(told.user_variables, dict) else {}
    words = (status.code, status.enhanced_code, status.message or status.description or told.reason)
    told_why = kind in (EventType.BOUNCED, EventType.FAILED, EventType.DEFERRED)
    return [
        Reading(
            type=kind,
            name=told.event,
            at=moments.of_epoch(told.timestamp),
            event_id=told.id,
            message=str(variables.get(MESSAGE_KEY, "")),
            provider_message=headers.message_id,
            recipient=told.recipient,
            bounce=bounce,
            reason=" ".join(str(word) for word in words if word) if told_why else "",
            url=told.url,
            user_agent=told.client_info.user_agent,
            ip=told.ip,
            from_address=headers.from_,
            subject=headers.subject,
            tags=tuple(told.tags or ()),
        )
    ]


PROVIDER = Provider(
    slug="mailgun", name="MAILGUN", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
