"""Twilio SendGrid: Event Webhook, a JSON list of events, signed with ECDSA (Signed Event Webhook).

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
The secret is the verification key of the console: a P-256 public key, base64 DER. Our id travels as the custom
argument `postmeter_id`. `sg_message_id` is SendGrid's id of the message, followed from the first point on by what
handled it; the part before is what its send answer calls X-Message-Id. A bounce that came late may lack it; its
`smtp-id` begins with the same id where SendGrid made the Message-ID.
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


FRESH_SECONDS = 25 * 3600.0
"""SendGrid tries again for 24 hours and does not say whether it signs anew; each event counts once anyway."""
_SOFT = frozenset({"blocked", "expired"})
"""Types of a bounce that may be over tomorrow: refused for now, or tried in vain for three days."""


class _Item(msgspec.Struct):
    event: str = ""
    email: str | None = None
    timestamp: int | float | str | None = None
    sg_event_id: str | None = None
    sg_message_id: str | None = None
    smtp_id: str | None = msgspec.field(name="smtp-id", default=None)
    type: str | None = None
    reason: str | None = None
    status: str | None = None
    response: str | None = None
    url: str | None = None
    useragent: str | None = None
    ip: str | None = None
    category: str | list[str] | None = None
    sg_template_id: str | None = None
    template_id: str | None = None
    singlesend_id: str | int | None = None
    marketing_campaign_id: str | int | None = None
    postmeter_id: str | None = msgspec.field(name=MESSAGE_KEY, default=None)


_decoder = msgspec.json.Decoder(_Item)


def _key(source: Source) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(source.secret.reveal(), validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise refused("The source's secret is no verification key as SendGrid shows it.") from None
    if not isinstance(key, EllipticCurvePublicKey):
        raise refused("The source's verification key is no ECDSA key.")
    return key


async def _verify(delivery: Delivery, source: Source) -> None:
    timestamp = signatures.header(delivery, "X-Twilio-Email-Event-Webhook-Timestamp")
    given = signatures.header(delivery, "X-Twilio-Email-Event-Webhook-Signature")
    key = _key(source)
    try:
        signature = base64.b64decode(given, validate=True)
        key.verify(signature, timestamp.encode("utf-8", "surrogateescape") + delivery.body, ECDSA(SHA256()))
    except (binascii.Error, ValueError, InvalidSignature):
        signatures.require(False)
    signatures.fresh(delivery, timestamp, FRESH_SECONDS)


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_list(delivery.body)


def _provider_message(told: _Item) -> str:
    if told.sg_message_id:
        return told.sg_message_id.partition(".")[0]
    local, at, host = (told.smtp_id or "").strip("<> ").rpartition("@")
    return local if at and host.endswith("sendgrid.net") else ""


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    kind = _TYPES.get(told.event, EventType.UNKNOWN)
    categories = [told.category] if isinstance(told.category, str) else told.category or ()
    return [
        Reading(
            type=kind,
            name=f"{told.event} {told.type or ''}".strip() if kind is EventType.UNKNOWN else told.event,
            at=moments.of_epoch(told.timestamp),
            event_id=told.sg_event_id or "",
            message=told.postmeter_id or "",
            provider_message=_provider_message(told),
            recipient=told.email or "",
            bounce=_bounce(told) if kind is EventType.BOUNCED else None,
            reason=" ".join(part for part in (told.status, told.reason or told.response) if part),
            url=told.url or "",
            user_agent=told.useragent or "",
            ip=told.ip or "",
            campaign=str(told.singlesend_id or told.marketing_campaign_id or ""),
            template=told.sg_template_id or told.template_id or "",
            tags=tuple(category for category in categories if category),
        )
    ]


def _bounce(told: _Item) -> BounceType:
    return BounceType.SOFT if told.type in _SOFT else BounceType.HARD


PROVIDER = Provider(
    slug="sendgrid",
    name="SENDGRID",
    secret=SecretOrigin.THEIRS,
    verify=_verify,
    items=_items,
    read=_read,
    check=_key,
)
