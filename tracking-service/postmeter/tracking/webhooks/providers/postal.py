"""Postal: one JSON object per call, signed with the installation's RSA key.

https://docs.postalserver.io/developer/webhooks
The secret is the installation's public key (`postal default-dkim-record` prints it after `p=`), base64 DER. Our id
travels as the mail's tag (`X-Postal-Tag: postmeter_id:UUID`). The message's id is `token` of Postal's message.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import items, lenient_json, marks, moments, signatures
from postmeter.tracking.webhooks.lenient_json import JsonObject
from postmeter.tracking.webhooks.provider import Delivery, Provider, Reading, SecretOrigin, WebhookSource, refused

_TYPES = {
    "messagesent": EventType.DELIVERED,
    "messagedelayed": EventType.DEFERRED,
    "messagedeliveryfailed": EventType.BOUNCED,
    "messageheld": EventType.DEFERRED,
    "messagebounced": EventType.BOUNCED,
    "messagelinkclicked": EventType.CLICKED,
    "messageloaded": EventType.OPENED,
}
_SUPPRESSED = "suppression list"
"""In the details of what is held for its recipient; what is held for another reason may be released and delivered."""
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED})
_HASHES: dict[str, HashAlgorithm] = {"X-Postal-Signature-256": SHA256(), "X-Postal-Signature": SHA1()}
"""Newer installations send both; the stronger one is looked at first."""


def _key(source: WebhookSource) -> RSAPublicKey:
    try:
        key = load_der_public_key(base64.b64decode(source.secret.reveal()))
    except (ValueError, UnsupportedAlgorithm):
        raise refused(
            "The source's secret is not a public key as `postal default-dkim-record` prints it after p=."
        ) from None
    if not isinstance(key, RSAPublicKey):
        raise refused("The source's public key is not an RSA key.")
    return key


async def _verify(delivery: Delivery, source: WebhookSource) -> None:
    name = next((name for name in _HASHES if delivery.headers.get(name)), "X-Postal-Signature")
    try:
        signature = base64.b64decode("".join(signatures.header(delivery, name).split()), validate=True)
    except ValueError:
        raise refused("The signature is not base64 as Postal gives it.") from None
    key = _key(source)
    try:
        key.verify(signature, delivery.body, PKCS1v15(), _HASHES[name])
    except InvalidSignature:
        signatures.require(False)


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_object(delivery.body)


def _kind(item: JsonObject) -> EventType:
    name, payload = item.word("event"), item.object("payload")
    if name == "messagedeliveryfailed" and not payload.text("output"):
        return EventType.FAILED  # no server said so: Postal gave up, or did not try
    if name == "messageheld" and _SUPPRESSED in payload.text("details"):
        return EventType.FAILED
    return _TYPES.get(name, EventType.UNKNOWN)


def _read(body: bytes) -> list[Reading]:
    item = lenient_json.item_of(body)
    name, event_id, payload = item.text("event"), item.text("uuid"), item.object("payload")
    # A bounce tells of two messages: the mail that came back with it, and the one that it is about.
    message = payload.object("original_message") or payload.object("message")
    at = moments.of(payload.text("timestamp") or item.text("timestamp"))
    if message.word("direction") == "incoming":
        # Mail that Postal received and passes on; told by the same events, and none of what is counted.
        return [Reading(type=EventType.UNKNOWN, name=f"{name} incoming", at=at, event_id=event_id)]
    kind, (ours, tags) = _kind(item), marks.of_tags([message.text("tag")])
    words = [payload.text("output"), payload.text("details")] if kind in _REASONED else []
    return [
        Reading(
            type=kind,
            name=name,
            at=at,
            event_id=event_id,
            message=ours,
            provider_message=message.text("token"),
            recipient=message.text("to"),
            bounce=BounceType.HARD if kind is EventType.BOUNCED else None,
            reason=" ".join(word for word in words if word),
            url=payload.text("url"),
            user_agent=payload.text("user_agent"),
            ip=payload.text("ip_address"),
            from_address=message.text("from"),
            subject=message.text("subject"),
            tags=tags,
        )
    ]


PROVIDER = Provider(
    slug="postal",
    name="POSTAL",
    secret=SecretOrigin.THEIRS,
    verify=_verify,
    items=_items,
    read=_read,
    check=_key,
)
