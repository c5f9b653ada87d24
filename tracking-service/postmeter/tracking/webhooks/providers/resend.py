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

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import items, lenient_json, moments, signatures
from postmeter.tracking.webhooks.lenient_json import JsonObject
from postmeter.tracking.webhooks.provider import (
    ID_HEADER,
    MESSAGE_KEY,
    Delivery,
    Provider,
    Reading,
    SecretOrigin,
    WebhookSource,
    refused,
)

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
_NOT_TRIED = frozenset({"suppressed", "onaccountsuppressionlist"})
"""Sub-types of a bounce with which Resend says that it did not try to deliver."""


def _key(source: WebhookSource) -> bytes:
    try:
        key = base64.b64decode(source.secret.reveal().removeprefix("whsec_"), validate=True)
    except ValueError:  # also of what is not ASCII
        key = b""
    if not key:  # everybody can sign with an empty one
        raise refused("The source's secret is not a signing secret of Resend (whsec_...).")
    return key


async def _verify(delivery: Delivery, source: WebhookSource) -> None:
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


def _tags(data: JsonObject) -> dict[str, str]:
    """Tags come as an object of names and values, or as a list of {"name", "value"}."""
    named = data.object("tags")
    if named:
        return {name: named.text(name) for name in named.names()}
    return {tag.text("name"): tag.text("value") for tag in data.objects("tags")}


def _kind(name: str, data: JsonObject) -> EventType:
    if data.object("bounce").word("subType") in _NOT_TRIED:
        return EventType.FAILED
    return _TYPES.get(name, EventType.UNKNOWN)


def _bounce(data: JsonObject) -> BounceType:
    """Resend tells permanent refusals only; the class is that of SES behind it where it says one."""
    return BounceType.HARD if data.object("bounce").word("type") in ("", "permanent") else BounceType.SOFT


def _reason(data: JsonObject) -> str:
    bounce, failed, suppressed = (data.object(name) for name in ("bounce", "failed", "suppressed"))
    words = (
        bounce.text("subType"),
        bounce.text("message"),
        *(why.text("reason", "message") for why in (failed, suppressed)),
    )
    return " ".join(word for word in words if word)


def _read(body: bytes) -> list[Reading]:
    item = lenient_json.item_of(body)
    name, data = item.word("type"), item.object("data")
    kind, tags, visit = _kind(name, data), _tags(data), data.object("click") or data.object("open")
    headers = data.objects("headers")
    ours = next((header.text("value") for header in headers if header.word("name") == ID_HEADER), "")
    # Mail that came in (email.received) is not mail that was sent.
    outbound = name.startswith("email.") and name != "email.received"
    to = data.texts("to")
    return [
        Reading(
            type=kind,
            name=item.text("type"),
            at=moments.of(visit.text("timestamp") or item.text("created_at")),
            message=tags.get(MESSAGE_KEY) or ours,
            provider_message=data.text("email_id") if outbound else "",
            # One event for all recipients of a mail: with several it is nobody's in particular.
            recipient=to[0] if len(to) == 1 else "",
            bounce=_bounce(data) if kind is EventType.BOUNCED else None,
            reason=_reason(data),
            url=visit.text("link"),
            user_agent=visit.text("userAgent"),
            ip=visit.text("ipAddress"),
            from_address=data.text("from"),
            subject=data.text("subject"),
            campaign=data.text("broadcast_id"),
            template=data.text("template_id"),
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
