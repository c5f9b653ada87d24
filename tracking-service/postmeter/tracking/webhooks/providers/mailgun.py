"""Mailgun: one JSON object per call, signed inside its body: HMAC-SHA256 of timestamp and token.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
https://documentation.mailgun.com/docs/mailgun/user-manual/events/event-structure
The secret is the account's HTTP webhook signing key. The signature covers the timestamp and a token only, not the
event, so a token is taken for the event that it first came with and for no other (`once`). A subaccount's events are
signed with its own key and with the primary account's (`parent-signature`).
Our id travels as the variable `v:postmeter_id`. The message's id is its Message-Id, as the send answer gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin, refused
from postmeter.tracking.webhooks.reading import Reading

FRESH_SECONDS = 12 * 3600.0
"""Mailgun tries a delivery again for eight hours, and may do so with the signature of the first attempt."""
_TYPES = {
    "accepted": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "opened": EventType.OPENED,
    "clicked": EventType.CLICKED,
    "complained": EventType.COMPLAINED,
    "unsubscribed": EventType.UNSUBSCRIBED,
    "rejected": EventType.FAILED,
}
_NOT_TRIED = "suppress-"
"""How the reasons of a permanent failure begin for which Mailgun did not try to deliver."""
_TOO_OLD = "old"
"""The reason of the failure after the last attempt; also told as a temporary one."""
_REASONED = (EventType.BOUNCED, EventType.FAILED, EventType.DEFERRED)


class _Signature(msgspec.Struct, rename="kebab"):
    timestamp: str
    token: str
    signature: str
    parent_signature: str | None = None


class _Signed(msgspec.Struct, rename="kebab"):
    signature: _Signature
    event_data: msgspec.Raw = msgspec.Raw()


class _Headers(msgspec.Struct, rename="kebab"):
    message_id: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    subject: str | None = None


class _Message(msgspec.Struct):
    headers: _Headers | None = None


class _Status(msgspec.Struct, rename="kebab"):
    code: int | str | None = None
    enhanced_code: str | None = None
    message: str | None = None
    description: str | None = None
    bounce_type: str | None = None


class _Reject(msgspec.Struct):
    reason: str | None = None
    description: str | None = None


class _Client(msgspec.Struct, rename="kebab"):
    user_agent: str | None = None


class _Data(msgspec.Struct, rename="kebab"):
    event: str = ""
    id: str | None = None
    timestamp: float | str | None = None
    severity: str | None = None
    reason: str | None = None
    recipient: str | None = None
    url: str | None = None
    ip: str | None = None
    template: Any = None
    campaigns: Any = None
    tags: list[str] | None = None
    message: _Message | None = None
    delivery_status: _Status | None = None
    reject: _Reject | None = None
    client_info: _Client | None = None
    user_variables: Any = None


class _Item(msgspec.Struct, rename="kebab"):
    event_data: _Data


_signed_decoder = msgspec.json.Decoder(_Signed)
_decoder = msgspec.json.Decoder(_Item)


def _signed(delivery: Delivery) -> _Signed:
    body = delivery.body
    try:
        # Nothing is verified yet: what is larger than an event is not worth mending.
        return items.decoded(_signed_decoder, body) if len(body) <= items.ITEM_BYTES else _signed_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refused("The body carries no signature: is this an event webhook of Mailgun?") from None


async def _verify(delivery: Delivery, source: Source) -> None:
    signature = _signed(delivery).signature
    right = signatures.sha256_hex(source, (signature.timestamp + signature.token).encode("utf-8", "surrogateescape"))
    given = (signature.signature, signature.parent_signature or "")
    signatures.require(any(signatures.same(one, right) for one in given))
    signatures.fresh(delivery, signature.timestamp, FRESH_SECONDS)


def _once(delivery: Delivery) -> tuple[str, bytes]:
    """The token and its event, whatever the order and spacing of its JSON in a later attempt."""
    signed = _signed(delivery)
    content = bytes(signed.event_data)
    if len(content) <= items.ITEM_BYTES:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            content = msgspec.json.encode(msgspec.json.decode(content), order="sorted")
    return signed.signature.timestamp + signed.signature.token, content


def _items(delivery: Delivery) -> Sequence[bytes]:
    return items.of_object(delivery.body)


def _kind(told: _Data) -> tuple[EventType, BounceType | None]:
    if told.event != "failed":
        return _TYPES.get(told.event, EventType.UNKNOWN), None
    reason, status = told.reason or "", told.delivery_status or _Status()
    if reason.startswith(_NOT_TRIED):
        return EventType.FAILED, None
    if reason == _TOO_OLD:
        return EventType.BOUNCED, BounceType.SOFT
    if told.severity == "temporary":
        return EventType.DEFERRED, None  # Mailgun goes on trying
    return EventType.BOUNCED, BounceType.SOFT if status.bounce_type == "soft" else BounceType.HARD


def _reason(told: _Data) -> str:
    status, reject = told.delivery_status or _Status(), told.reject or _Reject()
    words = (
        told.reason or reject.reason,
        status.code,
        status.enhanced_code,
        status.message or status.description or reject.description,
    )
    return " ".join(str(word) for word in words if word)


def _first_name(value: Any) -> str:
    """Of a template ({"name", ...}), or of a list of campaigns ([{"id", "name"}])."""
    first = value[0] if isinstance(value, list) and value else value
    return str(first.get("id") or first.get("name") or "") if isinstance(first, dict) else ""


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item).event_data
    kind, bounce = _kind(told)
    headers = (told.message or _Message()).headers or _Headers()
    variables = told.user_variables if isinstance(told.user_variables, dict) else {}
    return [
        Reading(
            type=kind,
            name=f"failed {told.severity}".strip() if told.event == "failed" else told.event,
            at=moments.of_epoch(told.timestamp),
            # An id is good for a day only.
            event_id=f"{told.id} {told.timestamp}" if told.id else "",
            message=str(variables.get(MESSAGE_KEY) or ""),
            provider_message=headers.message_id or "",
            recipient=told.recipient or "",
            bounce=bounce,
            reason=_reason(told) if kind in _REASONED else "",
            url=told.url or "",
            user_agent=(told.client_info or _Client()).user_agent or "",
            ip=told.ip or "",
            from_address=headers.from_ or "",
            subject=headers.subject or "",
            campaign=_first_name(told.campaigns),
            template=_first_name(told.template),
            tags=tuple(told.tags or ()),
        )
    ]


PROVIDER = Provider(
    slug="mailgun", name="MAILGUN", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read, once=_once
)
