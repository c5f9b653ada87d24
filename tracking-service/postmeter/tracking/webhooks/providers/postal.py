"""Postal: one JSON object per call, signed with the installation's RSA key.

https://docs.postalserver.io/developer/webhooks
The secret is the installation's public key (`postal default-dkim-record` prints it after `p=`), base64 DER. Our id
travels as the mail's tag (`X-Postal-Tag: postmeter_id:UUID`). The message's id is `token` of Postal's message.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin, refused
from postmeter.tracking.webhooks.reading import Reading

_TYPES = {
    "MessageSent": EventType.DELIVERED,
    "MessageDelayed": EventType.DEFERRED,
    "MessageDeliveryFailed": EventType.BOUNCED,
    "MessageHeld": EventType.FAILED,
    "MessageBounced": EventType.BOUNCED,
    "MessageLinkClicked": EventType.CLICKED,
    "MessageLoaded": EventType.OPENED,
}
_HASHES: dict[str, HashAlgorithm] = {"X-Postal-Signature-256": SHA256(), "X-Postal-Signature": SHA1()}
"""Newer installations send both; the stronger one is looked at first."""


class _Message(msgspec.Struct):
    id: int | str = ""
    token: str = ""
    to: str = ""
    from_: str = msgspec.field(name="from", default="")
    subject: str | None = None
    timestamp: int | float | None = None
    tag: str | None = None


class _Payload(msgspec.Struct):
    message: _Message | None = None
    original_message: _Message | None = None
    status: str | None = None
    details: str | None = None
    output: str | None = None
    timestamp: int | float | None = None
    url: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None


class _Item(msgspec.Struct):
    event: str = ""
    timestamp: int | float | None = None
    uuid: str = ""
    payload: _Payload = msgspec.field(default_factory=_Payload)


_decoder = msgspec.json.Decoder(_Item)


async def _verify(delivery: Delivery, source: Source) -> None:
    name = next((name for name in _HASHES if delivery.headers.get(name)), "X-Postal-Signature")
    try:
        signature = base64.b64decode("".join(signatures.header(delivery, name).split()))
        key = load_der_public_key(base64.b64decode(source.secret.reveal()))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise refused("The signature or the source's public key is not base64 as Postal gives it.") from None
    if not isinstance(key, RSAPublicKey):
        raise refused("The source's public key is no RSA key.")
    try:
        key.verify(signature, delivery.body, PKCS1v15(), _HASHES[name])
    except InvalidSignature:
        signatures.require(False)


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_object(delivery.body)


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    payload, kind = told.payload, _TYPES.get(told.event, EventType.UNKNOWN)
    # A bounce tells of two messages: the mail that came back with it, and the one that it is about.
    message = payload.original_message or payload.message or _Message()
    name, _, value = (message.tag or "").partition(":")
    ours = value if name == MESSAGE_KEY else ""
    failed = kind in (EventType.BOUNCED, EventType.DEFERRED, EventType.FAILED)
    return [
        Reading(
            type=kind,
            name=told.event,
            at=moments.of_epoch(payload.timestamp or told.timestamp),
            event_id=told.uuid,
            message=ours,
            provider_message=message.token,
            recipient=message.to,
            bounce=BounceType.HARD if kind is EventType.BOUNCED else None,
            reason=" ".join(word for word in (payload.output, payload.details) if word) if failed else "",
            url=payload.url or "",
            user_agent=payload.user_agent or "",
            ip=payload.ip_address or "",
            from_address=message.from_,
            subject=message.subject or "",
            tags=(message.tag,) if message.tag and not ours else (),
        )
    ]


PROVIDER = Provider(slug="postal", name="POSTAL", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read)
