"""Mailchimp Transactional (Mandrill): a form whose field `mandrill_events` is a JSON list; HMAC-SHA1 over URL and form.

https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/
https://mailchimp.com/developer/transactional/docs/webhooks/
The secret is the webhook's key in the console. Our id travels as the metadata `postmeter_id`. `_id` is Mandrill's id
of the message; its events have none, so an item's bytes stand for the event.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from yarl import query_to_pairs

from postmeter.shared.errors import RequestError
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

_FIELD = "mandrill_events"
_MAX_FIELDS = 10
_TYPES = {
    "send": EventType.SENT,
    "deferral": EventType.DEFERRED,
    "delivered": EventType.DELIVERED,
    "hard_bounce": EventType.BOUNCED,
    "soft_bounce": EventType.BOUNCED,
    "reject": EventType.FAILED,
    "spam": EventType.COMPLAINED,
    "unsub": EventType.UNSUBSCRIBED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
}
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED})


def _form(body: bytes) -> list[tuple[str, str]]:
    """The form's fields. Raises ValueError for what is not text, or has too many."""
    # Of yarl, not of urllib: that takes seconds for megabytes of escapes, which anybody may send.
    return query_to_pairs(body.decode(), max_fields=_MAX_FIELDS)


async def _verify(delivery: Delivery, source: WebhookSource) -> None:
    given = signatures.header(delivery, "X-Mandrill-Signature")
    try:
        signed = delivery.url + "".join(name + value for name, value in sorted(_form(delivery.body)))
    except ValueError:
        raise refused("What is signed is not the form that Mandrill sends.") from None
    mac = hmac.new(source.secret.reveal().encode(), signed.encode(), hashlib.sha1)
    signatures.require(signatures.same(given, base64.b64encode(mac.digest()).decode()))


def _items(delivery: Delivery) -> Sequence[bytes]:
    listed = dict(_form(delivery.body)).get(_FIELD)
    if listed is None:
        raise RequestError(400, "INVALID_BODY", f"This is not a form with the field {_FIELD}.")
    return items.of_list(listed.encode())


def _reason(item: JsonObject) -> str:
    """The class of the bounce, and what the recipient's server or Mandrill's own list said."""
    message = item.object("msg")
    diagnosis = message.text("diag") or next((event.text("diag") for event in message.objects("smtp_events")[-1:]), "")
    words = [message.text("bounce_description"), diagnosis]
    words += [rejected.text("reason") for rejected in (message.object("reject"), item.object("reject"))]
    return " ".join(word for word in words if word)


def _read(body: bytes) -> list[Reading]:
    item = lenient_json.item_of(body)
    # Changes of the deny and allow lists have a type instead of an event, and no message.
    name, message = item.word("event", "type"), item.object("msg")
    kind = _TYPES.get(name, EventType.UNKNOWN)
    return [
        Reading(
            type=kind,
            name=item.text("event", "type"),
            at=moments.of(item.text("ts")),
            message=message.object("metadata").text(MESSAGE_KEY),
            provider_message=message.text("_id") or item.text("_id"),
            recipient=message.text("email") or item.object("reject").text("email"),
            bounce=(BounceType.HARD if name == "hard_bounce" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=_reason(item) if kind in _REASONED else "",
            url=item.text("url"),
            user_agent=item.text("user_agent"),
            ip=item.text("ip"),
            from_address=message.text("sender"),
            subject=message.text("subject"),
            template=message.text("template"),
            tags=tuple(message.texts("tags")),
        )
    ]


PROVIDER = Provider(
    slug="mandrill", name="MANDRILL", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
