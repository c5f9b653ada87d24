"""Twilio SendGrid: Event Webhook, a JSON list of events, signed with ECDSA (Signed Event Webhook).

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
The secret is the verification key of the console: a P-256 public key, base64 DER. Our id travels as the custom
argument `postmeter_id`. `sg_message_id` is SendGrid's id of the message, followed by what handled it, from `.filter` or
`.recvd` on; the part before, which may hold points, is what its send answer calls X-Message-Id. It may be missing from
`sg_message_id`, and that from a late bounce; `smtp-id` begins with the same id where SendGrid made the Message-ID.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.requests import fields
from postmeter.tracking.webhooks import items, lenient_json, moments, signatures
from postmeter.tracking.webhooks.lenient_json import JsonObject
from postmeter.tracking.webhooks.provider import (
    MESSAGE_KEY,
    Delivery,
    Provider,
    Reading,
    SecretOrigin,
    WebhookSource,
    refused,
)

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
_HANDLED = (".filter", ".recvd")
"""What `sg_message_id` goes on with behind the message's id, or begins with where it has none."""
_SOFT = frozenset({"blocked", "expired"})
"""Types of a bounce that may be over tomorrow: refused for now, or tried in vain for three days."""


def _key(source: WebhookSource) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(source.secret.reveal(), validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise refused("The source's secret is not a verification key as SendGrid shows it.") from None
    if not isinstance(key, EllipticCurvePublicKey):
        raise refused("The source's verification key is not an ECDSA key.")
    return key


async def _verify(delivery: Delivery, source: WebhookSource) -> None:
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


def _provider_message(item: JsonObject) -> str:
    """X-Message-Id of the send answer, else what tells this mail from others."""
    whole = item.text("sg_message_id").strip()
    handled = min((place for sign in _HANDLED if (place := f".{whole}".find(sign)) >= 0), default=-1)
    if handled > 0:
        return whole[: handled - 1]
    smtp_id = fields.bare_id(item.text("smtp-id"))
    local, _, host = smtp_id.rpartition("@")
    if local and (host.endswith("sendgrid.net") or "ismtpd" in host):
        return local
    # A Message-ID of the sender's own alone is not known from the mail's other events, which tell `sg_message_id`.
    return (whole if handled < 0 else "") or (smtp_id if whole else "")


def _read(body: bytes) -> list[Reading]:
    item = lenient_json.item_of(body)
    name, detail = item.text("event"), item.text("type")
    kind = _TYPES.get(item.word("event"), EventType.UNKNOWN)
    return [
        Reading(
            type=kind,
            name=f"{name} {detail}".strip() if name and kind is EventType.UNKNOWN else name,
            at=moments.of(item.text("timestamp")),
            event_id=item.text("sg_event_id"),
            message=item.text(MESSAGE_KEY),
            provider_message=_provider_message(item),
            recipient=item.text("email"),
            bounce=(BounceType.SOFT if item.word("type") in _SOFT else BounceType.HARD)
            if kind is EventType.BOUNCED
            else None,
            reason=" ".join(part for part in (item.text("status"), item.text("reason", "response")) if part),
            url=item.text("url"),
            user_agent=item.text("useragent"),
            ip=item.text("ip"),
            campaign=item.text("singlesend_id", "marketing_campaign_id"),
            template=item.text("sg_template_id", "template_id"),
            tags=tuple(item.texts("category")),
        )
    ]


PROVIDER = Provider(
    slug="sendgrid",
    name="SENDGRID",
    secret=SecretOrigin.THEIRS,
    verify=_verify,
    items=_items,
    read=_read,
    check=_key,
)
