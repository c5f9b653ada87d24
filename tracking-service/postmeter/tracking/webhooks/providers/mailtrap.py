"""Mailtrap: {"events": [...]} or JSON lines; the header Mailtrap-Signature is HMAC-SHA256 of the body, as hex.

https://docs.mailtrap.io/email-api-smtp/advanced/webhooks
https://docs.mailtrap.io/email-api-smtp/analytics/statuses-and-events
The secret is the webhook's signing secret. Our id travels as the custom variable `postmeter_id`. `message_id` is
Mailtrap's id of the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from postmeter.shared.errors import RequestError
from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, marks, moments, signatures, unknown
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import Provider, SecretOrigin
from postmeter.tracking.webhooks.reading import Reading

_TYPES = {
    "delivery": EventType.DELIVERED,
    "soft bounce": EventType.BOUNCED,
    "bounce": EventType.BOUNCED,
    "suspension": EventType.DEFERRED,
    "reject": EventType.FAILED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "spam": EventType.COMPLAINED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
}
"""A suspension is tried again, and ends in a delivery or a reject; as a failure it would outlive the delivery."""
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED})


class _Item(msgspec.Struct):
    event: str
    event_id: str = ""
    timestamp: int | float | None = None
    message_id: str = ""
    email: str = ""
    category: str | None = None
    custom_variables: Any = None
    response: str | None = None
    response_code: int | None = None
    bounce_category: str | None = None
    reason: str | None = None
    url: str | None = None
    ip: str | None = None
    user_agent: str | None = None


class _Batch(msgspec.Struct):
    events: list[msgspec.Raw]


_decoder = msgspec.json.Decoder(_Item)
_batch_decoder = msgspec.json.Decoder(_Batch)


async def _verify(delivery: Delivery, source: Source) -> None:
    given = signatures.header(delivery, "Mailtrap-Signature")
    signatures.require(signatures.same(given, signatures.sha256_hex(source, delivery.body)))


def _items(delivery: Delivery) -> Sequence[bytes]:
    body = delivery.body
    if max(map(body.count, (b",", b"\n", b"\r"))) > items.MAX_COMMAS:
        raise _too_many()
    try:
        found = [bytes(event) for event in items.decoded(_batch_decoder, body).events]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = [line for line in body.splitlines() if line.strip()]
        if not found or not all(line.lstrip()[:1] == b"{" for line in found):
            raise RequestError(400, "INVALID_JSON", 'This is neither {"events": [...]} nor JSON lines.') from None
    if len(found) > items.MAX_ITEMS:
        raise _too_many()
    return found


def _too_many() -> RequestError:
    return RequestError(400, "TOO_MANY_ITEMS", f"at most {items.MAX_ITEMS} events at once")


def _read(item: bytes) -> list[Reading]:
    try:
        told = _decoder.decode(item)
    except msgspec.ValidationError as error:
        return unknown.of(item, "event", _TYPES, error)
    kind = _TYPES.get(told.event, EventType.UNKNOWN)
    words = (told.response_code, told.response, told.reason, told.bounce_category)
    return [
        Reading(
            type=kind,
            name=told.event,
            at=moments.of_epoch(told.timestamp),
            event_id=told.event_id,
            message=marks.of_object(told.custom_variables),
            provider_message=told.message_id,
            recipient=told.email,
            bounce=(BounceType.HARD if told.event == "bounce" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=" ".join(str(word) for word in words if word) if kind in _REASONED else "",
            url=told.url or "",
            user_agent=told.user_agent or "",
            ip=told.ip or "",
            tags=(told.category,) if told.category else (),
        )
    ]


PROVIDER = Provider(
    slug="mailtrap", name="MAILTRAP", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
