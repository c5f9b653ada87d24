"""Resend: one JSON object per call, signed as Standard Webhooks (by Svix).

https://resend.com/docs/dashboard/webhooks/verify-webhooks-requests, https://www.standardwebhooks.com
The secret is the webhook's signing secret, `whsec_` and base64. Our id travels as the tag `postmeter_id`, or in the
header `X-Postmeter-Id` of the mail. `email_id` is Resend's id of the message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin, refused
from postmeter.tracking.webhooks.reading import Reading

_TYPES = {
    "email.sent": EventType.SENT,
    "email.scheduled": EventType.QUEUED,
    "email.delivered": EventType.DELIVERED,
    "email.delivery_delayed": EventType.DEFERRED,
    "email.bounced": EventType.BOUNCED,
    "email.failed": EventType.FAILED,
    "email.suppressed": EventType.FAILED,
    "email.complained": EventType.COMPLAINED,
    "email.opened": EventType.OPENED,
    "email.clicked": EventType.CLICKED,
}
_ID_HEADER = "x-postmeter-id"


class _Header(msgspec.Struct):
    name: str = ""
    value: str = ""


class _Bounce(msgspec.Struct, rename="camel"):
    type: str = ""
    sub_type: str = ""
    message: str = ""


class _Reason(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _Click(msgspec.Struct, rename="camel"):
    link: str = ""
    ip_address: str = ""
    user_agent: str = ""
    timestamp: str = ""


class _Data(msgspec.Struct):
    email_id: str = ""
    from_: str = msgspec.field(name="from", default="")
    to: list[str] = []
    subject: str = ""
    tags: Any = None
    headers: list[_Header] | None = None
    bounce: _Bounce = msgspec.field(default_factory=_Bounce)
    failed: _Reason = msgspec.field(default_factory=_Reason)
    suppressed: _Reason = msgspec.field(default_factory=_Reason)
    click: _Click = msgspec.field(default_factory=_Click)


class _Item(msgspec.Struct):
    type: str = ""
    created_at: str = ""
    data: _Data = msgspec.field(default_factory=_Data)


_decoder = msgspec.json.Decoder(_Item)


async def _verify(delivery: Delivery, source: Source) -> None:
    message_id = signatures.header(delivery, "svix-id")
    timestamp = signatures.header(delivery, "svix-timestamp")
    try:
        key = base64.b64decode(source.secret.reveal().removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise refused("The source's secret is no signing secret of Resend (whsec_...).") from None
    signed = f"{message_id}.{timestamp}.".encode("utf-8", "surrogateescape") + delivery.body
    right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = [one.partition(",") for one in signatures.header(delivery, "svix-signature").split()]
    signatures.require(any(version == "v1" and signatures.same(value, right) for version, _, value in given))
    signatures.fresh(delivery, timestamp)


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_object(delivery.body)


def _tags(tags: Any) -> dict[str, str]:
    """Tags come as an object of names and values, or as a list of {"name", "value"}."""
    if isinstance(tags, dict):
        return {str(name): str(value) for name, value in tags.items()}
    if isinstance(tags, list):
        return {str(tag.get("name")): str(tag.get("value")) for tag in tags if isinstance(tag, dict)}
    return {}


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    data, kind, tags = told.data, _TYPES.get(told.type, EventType.UNKNOWN), _tags(told.data.tags)
    ours = next((header.value for header in data.headers or () if header.name.lower() == _ID_HEADER), "")
    reasons = (data.bounce.sub_type, data.bounce.message, data.failed.reason, data.suppressed.message)
    # An event is told once for all recipients of a mail; a mail that is tracked has one.
    return [
        Reading(
            type=kind,
            name=told.type,
            at=moments.of_text(data.click.timestamp or told.created_at),
            message=tags.get(MESSAGE_KEY, "") or ours,
            provider_message=data.email_id,
            recipient=data.to[0] if data.to else "",
            bounce=(BounceType.HARD if data.bounce.type in ("", "Permanent") else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=" ".join(reason for reason in reasons if reason),
            url=data.click.link,
            user_agent=data.click.user_agent,
            ip=data.click.ip_address,
            from_address=data.from_,
            subject=data.subject,
            tags=tuple(f"{name}:{value}" for name, value in tags.items() if name != MESSAGE_KEY),
        )
    ]


PROVIDER = Provider(slug="resend", name="RESEND", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read)
