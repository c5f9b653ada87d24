"""Mailchimp Transactional (Mandrill): a form whose field `mandrill_events` is a JSON list; HMAC-SHA1 over URL and form.

https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/
The secret is the webhook's key in the console. Our id travels as the metadata `postmeter_id`. `_id` is Mandrill's id
of the message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from postmeter.shared.errors import RequestError
from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin
from postmeter.tracking.webhooks.reading import Reading

_FIELD = "mandrill_events"
_MAX_FIELDS = 10
_TYPES = {
    "send": EventType.SENT,
    "deferral": EventType.DEFERRED,
    "delivered": EventType.DELIVERED,
    "hard_bounce": EventType.BOUNCED,
    "soft_bounce": EventType.BOUNCED,
    "reject": EventType.FAILED,
    "spam": EventType.COMPLAINED,
    "unsub": EventType.UNSUBSCRIBED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
}


class _Message(msgspec.Struct):
    id: str = msgspec.field(name="_id", default="")
    email: str = ""
    sender: str = ""
    subject: str | None = None
    template: str | None = None
    tags: list[str] | None = None
    metadata: Any = None
    diag: str | None = None
    bounce_description: str | None = None
    reject: Any = None


class _Item(msgspec.Struct):
    event: str = ""
    ts: int | float | None = None
    id: str = msgspec.field(name="_id", default="")
    msg: _Message = msgspec.field(default_factory=_Message)
    url: str | None = None
    ip: str | None = None
    user_agent: str | None = None


_decoder = msgspec.json.Decoder(_Item)


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except (ValueError, UnicodeDecodeError):
        raise RequestError(400, "INVALID_BODY", f"This is no form with the field {_FIELD}.") from None


async def _verify(delivery: Delivery, source: Source) -> None:
    given = signatures.header(delivery, "X-Mandrill-Signature")
    signed = delivery.url + "".join(name + value for name, value in sorted(_form(delivery.body)))
    mac = hmac.new(source.secret.reveal().encode(), signed.encode("utf-8", "surrogateescape"), hashlib.sha1)
    signatures.require(signatures.same(given, base64.b64encode(mac.digest()).decode()))


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_list(dict(_form(delivery.body)).get(_FIELD, "").encode())


def _reason(message: _Message) -> str:
    rejected = message.reject.get("reason", "") if isinstance(message.reject, dict) else ""
    return " ".join(str(word) for word in (message.bounce_description, message.diag, rejected) if word)


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    kind, message = _TYPES.get(told.event, EventType.UNKNOWN), told.msg
    metadata = message.metadata if isinstance(message.metadata, dict) else {}
    return [
        Reading(
            type=kind,
            name=told.event,
            at=moments.of_epoch(told.ts),
            message=str(metadata.get(MESSAGE_KEY, "")),
            provider_message=message.id or told.id,
            recipient=message.email,
            bounce=(BounceType.HARD if told.event == "hard_bounce" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=_reason(message),
            url=told.url or "",
            user_agent=told.user_agent or "",
            ip=told.ip or "",
            from_address=message.sender,
            subject=message.subject or "",
            template=message.template or "",
            tags=tuple(message.tags or ()),
        )
    ]


PROVIDER = Provider(
    slug="mandrill", name="MANDRILL", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
