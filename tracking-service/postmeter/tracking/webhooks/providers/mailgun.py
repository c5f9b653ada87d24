"""Mailgun: one JSON object per call, or an older form; signed inside its body: HMAC-SHA256 of timestamp and token.

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
from typing import NamedTuple

import msgspec

from postmeter.shared.stream.events import BounceType, EventType
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
from postmeter.tracking.webhooks.providers import mailgun_forms

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
    "dropped": EventType.FAILED,
    "bounced": EventType.BOUNCED,
}
"""The last two are of the older forms only: given up or not tried, and refused for good."""
_NOT_TRIED = "suppress-"
"""How the reasons of a permanent failure begin for which Mailgun did not try to deliver."""
_TOO_OLD = "old"
"""The reason of the failure after the last attempt; also told as a temporary one."""
_REASONED = (EventType.BOUNCED, EventType.FAILED, EventType.DEFERRED)


_BODY = lenient_json.FewFields("signature", "event-data")
_SIGNATURE = lenient_json.FewFields("timestamp", "token", "signature", "parent-signature")


class _Signed(NamedTuple):
    """signature: the object, or the older form's fields, that hold it. event: what came with it."""

    signature: JsonObject
    event: bytes


def _signed(delivery: Delivery) -> _Signed:
    form = mailgun_forms.fields_of(delivery)
    if form is not None:
        return _Signed(lenient_json.object_of(msgspec.json.encode(dict(form))), mailgun_forms.item_of(form))
    # Nothing is verified yet: what is larger than an event is not worth mending.
    mend = len(delivery.body) <= items.ITEM_BYTES
    body = _BODY.of(delivery.body, mend=mend)
    signature = _SIGNATURE.of(body.raw("signature"), mend=mend)
    if not signature:
        raise refused("The body carries no signature: is this an event webhook of Mailgun?")
    return _Signed(signature, body.raw("event-data"))


async def _verify(delivery: Delivery, source: WebhookSource) -> None:
    signature = _signed(delivery).signature
    timestamp, token = signature.text("timestamp"), signature.text("token")
    right = signatures.sha256_hex(source, (timestamp + token).encode("utf-8", "surrogateescape"))
    given = (signature.text("signature"), signature.text("parent-signature"))
    signatures.require(bool(token) and any(signatures.same(one, right) for one in given))
    signatures.fresh(delivery, timestamp, FRESH_SECONDS)


def _once(delivery: Delivery) -> tuple[str, bytes]:
    """The token and its event, whatever the order and spacing of its JSON in a later attempt."""
    signature, content = _signed(delivery)
    if len(content) <= items.ITEM_BYTES:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            content = msgspec.json.encode(msgspec.json.decode(content), order="sorted")
    return signature.text("timestamp") + signature.text("token"), content


def _items(delivery: Delivery) -> Sequence[bytes]:
    form = mailgun_forms.fields_of(delivery)
    return items.of_object(delivery.body) if form is None else [mailgun_forms.item_of(form)]


def _kind(event: JsonObject) -> tuple[EventType, BounceType | None]:
    name, reason = event.word("event"), event.word("reason")
    if reason == _TOO_OLD and name in ("failed", "dropped"):
        return EventType.BOUNCED, BounceType.SOFT
    if name != "failed":
        kind = _TYPES.get(name, EventType.UNKNOWN)
        return kind, BounceType.HARD if kind is EventType.BOUNCED else None
    if reason.startswith(_NOT_TRIED):
        return EventType.FAILED, None
    if event.word("severity") == "temporary":
        return EventType.DEFERRED, None  # Mailgun goes on trying
    soft = event.object("delivery-status").word("bounce-type") == "soft"
    return EventType.BOUNCED, BounceType.SOFT if soft else BounceType.HARD


def _reason(event: JsonObject) -> str:
    status, reject = event.object("delivery-status"), event.object("reject")
    words = (
        event.text("reason") or reject.text("reason"),
        status.text("code"),
        status.text("enhanced-code"),
        status.text("message", "description") or reject.text("description"),
    )
    return " ".join(word for word in words if word not in ("", "0"))


def _recipient(event: JsonObject, headers: JsonObject) -> str:
    """A rejected mail names its recipient in its own header only; several there are nobody in particular."""
    to = headers.text("to")
    return event.text("recipient") or (to if to.count("@") == 1 else "")


def _read(body: bytes) -> list[Reading]:
    event = lenient_json.item_of(body).object("event-data")
    kind, bounce = _kind(event)
    name, event_id, timestamp = event.text("event"), event.text("id"), event.text("timestamp")
    headers = event.object("message").object("headers")
    template = event.object("template")
    return [
        Reading(
            type=kind,
            name=f"failed {event.text('severity')}".strip() if event.word("event") == "failed" else name,
            at=moments.of(timestamp),
            # An id is good for a day only.
            event_id=f"{event_id} {timestamp}" if event_id else "",
            message=event.object("user-variables").text(MESSAGE_KEY),
            provider_message=headers.text("message-id"),
            recipient=_recipient(event, headers),
            bounce=bounce,
            reason=_reason(event) if kind in _REASONED else "",
            url=event.text("url"),
            user_agent=event.object("client-info").text("user-agent"),
            ip=event.text("ip"),
            from_address=headers.text("from"),
            subject=headers.text("subject"),
            campaign=next((one.text("id", "name") for one in event.objects("campaigns")), ""),
            template=template.text("id", "name"),
            tags=tuple(event.texts("tags")),
        )
    ]


PROVIDER = Provider(
    slug="mailgun", name="MAILGUN", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read, once=_once
)
