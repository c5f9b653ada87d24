"""Postal: one JSON object per call, signed with the installation's RSA key.

https://docs.postalserver.io/developer/webhooks
The secret is the installation's public key (`postal default-dkim-record` prints it after `p=`), base64 DER. Our id
travels as the mail's tag (`X-Postal-Tag: postmeter_id:UUID`). The message's id is `token` of Postal's message.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, marks, moments, signatures, unknown
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import Provider, SecretOrigin, refused
from postmeter.tracking.webhooks.reading import Reading

_TYPES = {
    "MessageSent": EventType.DELIVERED,
    "MessageDelayed": EventType.DEFERRED,
    "MessageDeliveryFailed": EventType.BOUNCED,
    "MessageHeld": EventType.DEFERRED,
    "MessageBounced": EventType.BOUNCED,
    "MessageLinkClicked": EventType.CLICKED,
    "MessageLoaded": EventType.OPENED,
}
_SUPPRESSED = "suppression list"
"""In the details of what is held for its recipient; what is held for another reason may be released and delivered."""
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED})
_HASHES: dict[str, HashAlgorithm] = {"X-Postal-Signature-256": SHA256(), "X-Postal-Signature": SHA1()}
"""Newer installations send both; the stronger one is looked at first."""


class _Message(msgspec.Struct):
    token: str = ""
    direction: str = "outgoing"
    to: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    subject: str | None = None
    tag: str | None = None


class _Payload(msgspec.Struct):
    message: _Message | None = None
    original_message: _Message | None = None
    details: str | None = None
    output: str | None = None
    timestamp: int | float | None = None
    url: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None


class _Item(msgspec.Struct):
    event: str
    timestamp: int | float | None = None
    uuid: str = ""
    payload: _Payload = msgspec.field(default_factory=_Payload)


_decoder = msgspec.json.Decoder(_Item)


def _key(source: Source) -> RSAPublicKey:
    try:
        key = load_der_public_key(base64.b64decode(source.secret.reveal()))
    except (ValueError, UnsupportedAlgorithm):
        raise refused(
            "The source's secret is no public key as `postal default-dkim-record` prints it after p=."
        ) from None
    if not isinstance(key, RSAPublicKey):
        raise refused("The source's public key is no RSA key.")
    return key


async def _verify(delivery: Delivery, source: Source) -> None:
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


def _kind(told: _Item) -> EventType:
    kind, payload = _TYPES.get(told.event, EventType.UNKNOWN), told.payload
    if told.event == "MessageDeliveryFailed" and not payload.output:
        return EventType.FAILED  # no server said so: Postal gave up, or did not try
    if told.event == "MessageHeld" and _SUPPRESSED in (payload.details or ""):
        return EventType.FAILED
    return kind


def _read(item: bytes) -> list[Reading]:
    try:
        told = _decoder.decode(item)
    except msgspec.ValidationError as error:
        return unknown.of(item, "event", _TYPES, error)
    # A bounce tells of two messages: the mail that came back with it, and the one that it is about.
    payload = told.payload
    message = payload.original_message or payload.message or _Message()
    at = moments.of_epoch(payload.timestamp or told.timestamp)
    if message.direction != "outgoing":
        # Mail that Postal received and passes on; told by the same events, and none of what is counted.
        return [Reading(type=EventType.UNKNOWN, name=f"{told.event} {message.direction}", at=at, event_id=told.uuid)]
    kind, (ours, tags) = _kind(told), marks.of_tags([message.tag or ""])
    return [
        Reading(
            type=kind,
            name=told.event,
            at=at,
            event_id=told.uuid,
            message=ours,
            provider_message=message.token,
            recipient=message.to or "",
            bounce=BounceType.HARD if kind is EventType.BOUNCED else None,
            reason=" ".join(word for word in (payload.output, payload.details) if word) if kind in _REASONED else "",
            url=payload.url or "",
            user_agent=payload.user_agent or "",
            ip=payload.ip_address or "",
            from_address=message.from_ or "",
            subject=message.subject or "",
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
