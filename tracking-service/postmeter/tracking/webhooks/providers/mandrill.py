"""Mailchimp Transactional (Mandrill): a form whose field `mandrill_events` is a JSON list; HMAC-SHA1 over URL and form.

https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/
https://mailchimp.com/developer/transactional/docs/webhooks/
The secret is the webhook's key in the console. Our id travels as the metadata `postmeter_id`. `_id` is Mandrill's id
of the message; its events have none, so an item's bytes stand for the event.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
from yarl import query_to_pairs

from postmeter.shared.errors import RequestError
from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, marks, moments, signatures, unknown
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import Provider, SecretOrigin, refused
from postmeter.tracking.webhooks.reading import Reading, Unreadable

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
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED})


class _Message(msgspec.Struct):
    id: str = msgspec.field(name="_id", default="")
    email: str = ""
    sender: str | None = None
    subject: str | None = None
    template: str | None = None
    tags: list[str] | None = None
    metadata: Any = None
    diag: str | None = None
    bounce_description: str | None = None
    smtp_events: Any = None
    reject: Any = None


class _Item(msgspec.Struct):
    event: str = ""
    type: str = ""
    ts: int | float | None = None
    id: str = msgspec.field(name="_id", default="")
    msg: _Message = msgspec.field(default_factory=_Message)
    url: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    reject: Any = None


_decoder = msgspec.json.Decoder(_Item)


def _form(body: bytes) -> list[tuple[str, str]]:
    """The form's fields. Raises ValueError for what is no text, or has too many."""
    # Of yarl, not of urllib: that takes seconds for megabytes of escapes, which anybody may send.
    return query_to_pairs(body.decode(), max_fields=_MAX_FIELDS)


async def _verify(delivery: Delivery, source: Source) -> None:
    given = signatures.header(delivery, "X-Mandrill-Signature")
    try:
        signed = delivery.url + "".join(name + value for name, value in sorted(_form(delivery.body)))
    except ValueError:
        raise refused("What is signed is not the form that Mandrill sends.") from None
    mac = hmac.new(source.secret.reveal().encode(), signed.encode(), hashlib.sha1)
    signatures.require(signatures.same(given, base64.b64encode(mac.digest()).decode()))


def _items(delivery: Delivery) -> Sequence[bytes]:
    listed = dict(_form(delivery.body)).get(_FIELD)
    if listed is None:
        raise RequestError(400, "INVALID_BODY", f"This is no form with the field {_FIELD}.")
    return items.of_list(listed.encode())


def _reason(told: _Item) -> str:
    """The class of the bounce, and what the recipient's server or Mandrill's own list said."""
    message, words = told.msg, [told.msg.bounce_description, told.msg.diag]
    if not message.diag and isinstance(message.smtp_events, list) and message.smtp_events:
        words += [marks.of_object(message.smtp_events[-1], "diag")]
    words += [marks.of_object(rejected, "reason") for rejected in (message.reject, told.reject)]
    return " ".join(word for word in words if word)


def _read(item: bytes) -> list[Reading]:
    try:
        told = _decoder.decode(item)
    except msgspec.ValidationError as error:
        return unknown.of(item, "event", _TYPES, error)
    # Changes of the deny and allow lists have a type instead of an event, and no message.
    name, message = told.event or told.type, told.msg
    if not name:
        raise Unreadable("it has no event")
    kind = _TYPES.get(name, EventType.UNKNOWN)
    return [
        Reading(
            type=kind,
            name=name,
            at=moments.of_epoch(told.ts),
            message=marks.of_object(message.metadata),
            provider_message=message.id or told.id,
            recipient=message.email or marks.of_object(told.reject, "email"),
            bounce=(BounceType.HARD if name == "hard_bounce" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=_reason(told) if kind in _REASONED else "",
            url=told.url or "",
            user_agent=told.user_agent or "",
            ip=told.ip or "",
            from_address=message.sender or "",
            subject=message.subject or "",
            template=message.template or "",
            tags=tuple(message.tags or ()),
        )
    ]


PROVIDER = Provider(
    slug="mandrill", name="MANDRILL", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
