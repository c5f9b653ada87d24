"""Mailtrap: {"events": [...]} or JSON lines; the header Mailtrap-Signature is HMAC-SHA256 of the body, as hex.

https://docs.mailtrap.io/email-api-smtp/advanced/webhooks
https://docs.mailtrap.io/email-api-smtp/analytics/statuses-and-events
The secret is the webhook's signing secret. Our id travels as the custom variable `postmeter_id`. `message_id` is
Mailtrap's id of the message.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import items, lenient_json, moments, signatures
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Delivery, Provider, Reading, SecretOrigin, WebhookSource

_TYPES = {
    "delivery": EventType.DELIVERED,
    "soft bounce": EventType.DEFERRED,
    "bounce": EventType.BOUNCED,
    "suspension": EventType.DEFERRED,
    "reject": EventType.FAILED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "spam": EventType.COMPLAINED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
}
"""A soft bounce is tried again, ten times by Mailtrap's docs, and ends in a delivery or a bounce. A suspension is tried
again, too, and ends in a delivery or a reject; as a failure it would outlive the delivery."""
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED})


class _Batch(msgspec.Struct):
    events: list[msgspec.Raw]


_batch_decoder = msgspec.json.Decoder(_Batch)


async def _verify(delivery: Delivery, source: WebhookSource) -> None:
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


def _read(body: bytes) -> list[Reading]:
    item = lenient_json.item_of(body)
    kind = _TYPES.get(item.word("event"), EventType.UNKNOWN)
    words = [item.text(name) for name in ("response_code", "response", "reason", "bounce_category")]
    category = item.text("category")
    return [
        Reading(
            type=kind,
            name=item.text("event"),
            at=moments.of(item.text("timestamp")),
            event_id=item.text("event_id"),
            message=item.object("custom_variables").text(MESSAGE_KEY),
            provider_message=item.text("message_id"),
            recipient=item.text("email"),
            bounce=BounceType.HARD if kind is EventType.BOUNCED else None,
            reason=" ".join(word for word in words if word) if kind in _REASONED else "",
            url=item.text("url"),
            user_agent=item.text("user_agent"),
            ip=item.text("ip"),
            tags=(category,) if category else (),
        )
    ]


PROVIDER = Provider(
    slug="mailtrap", name="MAILTRAP", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
