"""Twilio SendGrid: Event Webhook, a JSON list of events, signed with ECDSA (Signed Event Webhook).

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
The secret is the verification key of the console: a P-256 public key, base64 DER. Our id travels as the custom
argument `postmeter_id`. `sg_message_id` is SendGrid's id of the message, followed from the first point on by what
handled it; the part before is what its send answer calls X-Message-Id.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin, refused
from postmeter.tracking.webhooks.reading import Reading

_TYPES = {
    "processed": EventType.SENT,
    "deferred": EventType.DEFERRED,
    "delivered": EventType.DELIVERED,
    "bounce": EventType.BOUNCED,
    "dropped": EventType.FAILED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "spamreport": EventType.COMPLAINED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "group_unsubscribe": EventType.UNSUBSCRIBED,
}


class _Item(msgspec.Struct):
    event: str = ""
    email: str = ""
    timestamp: int | float | str | None = None
    sg_event_id: str = ""
    sg_message_id: str = ""
    type: str = ""
    reason: str | None = None
    status: str | None = None
    response: str | None = None
    url: str = ""
    useragent: str = ""
    ip: str = ""
    category: str | list[str] = []
    template_id: str = ""
    postmeter_id: str = msgspec.field(name=MESSAGE_KEY, default="")


_decoder = msgspec.json.Decoder(_Item)


async def _verify(delivery: Delivery, source: Source) -> None:
    timestamp = signatures.header(delivery, "X-Twilio-Email-Event-Webhook-Timestamp")
    try:
        signature = base64.b64decode(signatures.header(delivery, "X-Twilio-Email-Event-Webhook-Signature"))
        key = load_der_public_key(base64.b64decode(source.secret.reveal()))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise refused("The signature or the source's verification key is not base64 as SendGrid gives it.") from None
    if not isinstance(key, EllipticCurvePublicKey):
        raise refused("The source's verification key is no ECDSA key.")
    try:
        key.verify(signature, timestamp.encode() + delivery.body, ECDSA(SHA256()))
    except InvalidSignature:
        signatures.require(False)
    signatures.fresh(delivery, timestamp)


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_list(delivery.body)


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    kind = _TYPES.get(told.event, EventType.UNKNOWN)
    # A block is a refusal that may be over tomorrow; "bounce" as a type is for good.
    bounce = BounceType.SOFT if told.type == "blocked" else BounceType.HARD
    categories = [told.category] if isinstance(told.category, str) else told.category
    return [
        Reading(
            type=kind,
            name=told.event,
            at=moments.of_epoch(told.timestamp),
            event_id=told.sg_event_id,
            message=told.postmeter_id,
            provider_message=told.sg_message_id.partition(".")[0],
            recipient=told.email,
            bounce=bounce if kind is EventType.BOUNCED else None,
            reason=" ".join(part for part in (told.status, told.reason or told.response) if part),
            url=told.url,
            user_agent=told.useragent,
            ip=told.ip,
            template=told.template_id,
            tags=tuple(category for category in categories if category),
        )
    ]


PROVIDER = Provider(
    slug="sendgrid", name="SENDGRID", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
