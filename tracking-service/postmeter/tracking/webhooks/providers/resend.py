"""Resend: one JSON object per call, signed as Standard Webhooks (by Svix).

https://resend.com/docs/dashboard/webhooks/verify-webhooks-requests, https://www.standardwebhooks.com
The secret is the webhook's signing secret, `whsec_` and base64. Our id travels as the tag `postmeter_id`, or in the
header `X-Postmeter-Id` of the mail. `email_id` is Resend's id of the message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import ID_HEADER, MESSAGE_KEY, Provider, SecretOrigin, refused
from postmeter.tracking.webhooks.reading import Reading

_TYPES = {
    "email.scheduled": EventType.QUEUED,
    "email.sent": EventType.SENT,
    "email.delivered": EventType.DELIVERED,
    "email.delivery_delayed": EventType.DEFERRED,
    "email.bounced": EventType.BOUNCED,
    "email.failed": EventType.FAILED,
    "email.suppressed": EventType.FAILED,
    "email.complained": EventType.COMPLAINED,
    "email.opened": EventType.OPENED,
    "email.clicked": EventType.CLICKED,
}
_NOT_TRIED = frozenset({"Suppressed", "OnAccountSuppressionList"})
"""Sub-types of a bounce with which Resend says that it did not try to deliver."""


class _Header(msgspec.Struct):
    name: str = ""
    value: str | None = None


class _Bounce(msgspec.Struct, rename="camel"):
    type: str | None = None
    sub_type: str | None = None
    message: str | None = None


class _Why(msgspec.Struct):
    reason: str | None = None
    message: str | None = None


class _Visit(msgspec.Struct, rename="camel"):
    link: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    timestamp: str | None = None


class _Data(msgspec.Struct):
    email_id: str | None = None
    broadcast_id: str | None = None
    template_id: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    to: list[str] | str | None = None
    subject: str | None = None
    tags: Any = None
    headers: list[_Header] | None = None
    bounce: _Bounce | None = None
    failed: _Why | None = None
    suppressed: _Why | None = None
    click: _Visit | None = None
    open: _Visit | None = None


class _Item(msgspec.Struct):
    type: str = ""
    created_at: str | None = None
    data: _Data | None = None


_decoder = msgspec.json.Decoder(_Item)


def _key(source: Source) -> bytes:
    try:
        key = base64.b64decode(source.secret.reveal().removeprefix("whsec_"), validate=True)
    except ValueError:  # also of what is not ASCII
        key = b""
    if not key:  # everybody can sign with an empty one
        raise refused("The source's secret is no signing secret of Resend (whsec_...).")
    return key


async def _verify(delivery: Delivery, source: Source) -> None:
    message_id = signatures.header(delivery, "svix-id")
    timestamp = signatures.header(delivery, "svix-timestamp")
    key = _key(source)
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


def _kind(told: _Item, data: _Data) -> EventType:
    if data.bounce is not None and data.bounce.sub_type in _NOT_TRIED:
        return EventType.FAILED
    return _TYPES.get(told.type, EventType.UNKNOWN)


def _bounce(data: _Data) -> BounceType:
    """Resend tells permanent refusals only; the class is that of SES behind it where it says one."""
    told = data.bounce.type if data.bounce is not None else None
    return BounceType.HARD if told in (None, "", "Permanent") else BounceType.SOFT


def _reason(data: _Data) -> str:
    bounce, failed, suppressed = data.bounce or _Bounce(), data.failed or _Why(), data.suppressed or _Why()
    words = (bounce.sub_type, bounce.message, failed.reason or failed.message, suppressed.reason or suppressed.message)
    return " ".join(word for word in words if word)


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    data = told.data or _Data()
    kind, tags, visit = _kind(told, data), _tags(data.tags), data.click or data.open or _Visit()
    ours = next((header.value or "" for header in data.headers or () if header.name.lower() == ID_HEADER), "")
    # Mail that came in (email.received) is none of those that were sent.
    outbound = told.type.startswith("email.") and told.type != "email.received"
    to = [data.to] if isinstance(data.to, str) else data.to or []
    return [
        Reading(
            type=kind,
            name=told.type,
            at=moments.of_text(visit.timestamp or told.created_at),
            message=tags.get(MESSAGE_KEY) or ours,
            provider_message=(data.email_id or "") if outbound else "",
            # One event for all recipients of a mail: with several it is nobody's in particular.
            recipient=to[0] if len(to) == 1 else "",
            bounce=_bounce(data) if kind is EventType.BOUNCED else None,
            reason=_reason(data),
            url=visit.link or "",
            user_agent=visit.user_agent or "",
            ip=visit.ip_address or "",
            from_address=data.from_ or "",
            subject=data.subject or "",
            campaign=data.broadcast_id or "",
            template=data.template_id or "",
            tags=tuple(f"{name}:{value}" for name, value in tags.items() if name != MESSAGE_KEY),
        )
    ]


PROVIDER = Provider(
    slug="resend",
    name="RESEND",
    secret=SecretOrigin.THEIRS,
    verify=_verify,
    items=_items,
    read=_read,
    check=_key,
)
