"""Brevo (Sendinblue): a JSON object per call, or a list where batching is on. Nothing is signed.

https://developers.brevo.com/docs/transactional-webhooks
https://developers.brevo.com/docs/secured-webhooks
Our password comes by basic authentication, from the URL, or as a bearer token. Our id travels in the mail's header
`X-Mailin-custom`, as `postmeter_id:UUID` or JSON, or as the tag `postmeter_id:UUID`. `message-id` is Brevo's id of
the message. `id` is the webhook's, not the event's; an item's bytes stand for the event, but for opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, marks, moments, signatures, unknown
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import Provider, SecretOrigin
from postmeter.tracking.webhooks.reading import Reading

_MILLISECONDS = 100_000_000_000
_TYPES = {
    "request": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "deferred": EventType.DEFERRED,
    "hard_bounce": EventType.BOUNCED,
    "soft_bounce": EventType.BOUNCED,
    "invalid_email": EventType.FAILED,
    "blocked": EventType.FAILED,
    "error": EventType.FAILED,
    "spam": EventType.COMPLAINED,
    "complaint": EventType.COMPLAINED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "unsubscribed": EventType.UNSUBSCRIBED,
    "unique_opened": EventType.OPENED,
    "opened": EventType.OPENED,
    "unique_proxy_open": EventType.OPENED,
    "proxy_open": EventType.OPENED,
    "click": EventType.CLICKED,
}
"""A first open is told as `unique_opened`, later ones as `opened`; some accounts are told the first one as both."""
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED})


class _Item(msgspec.Struct):
    event: str
    email: str = ""
    ts_event: int | float | None = None
    ts_epoch: int | float | None = None
    message_id: str = msgspec.field(name="message-id", default="")
    subject: str | None = None
    tags: Any = None
    tag: str | list[str] | None = None
    reason: str | None = None
    link: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    sender_email: str | None = None
    template_id: int | str | None = None
    custom: str | None = msgspec.field(name="X-Mailin-custom", default=None)


_decoder = msgspec.json.Decoder(_Item)


async def _verify(delivery: Delivery, source: Source) -> None:
    scheme, _, token = delivery.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        await signatures.basic_auth(delivery, source)
        return
    signatures.require(signatures.same(token.strip(), source.secret.reveal()))


def _items(delivery: Delivery) -> Sequence[bytes]:
    body = delivery.body
    return items.of_list(body) if body.lstrip()[:1] == b"[" else items.of_object(body)


def _at(told: _Item) -> int | None:
    # Brevo documents ts_epoch in milliseconds, and shows it in seconds in some of its examples.
    if told.ts_epoch is not None and told.ts_epoch > _MILLISECONDS:
        return moments.of_epoch(told.ts_epoch, per_second=1000)
    return moments.of_epoch(told.ts_event if told.ts_event is not None else told.ts_epoch)


def _tags(told: _Item) -> list[str]:
    """Of the list `tags`, else of `tag`: one tag, or a list written as JSON."""
    tags = told.tags or told.tag
    if isinstance(tags, str):
        tags = marks.decoded(tags) if tags.startswith("[") else [tags]
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _read(item: bytes) -> list[Reading]:
    try:
        told = _decoder.decode(item)
    except msgspec.ValidationError as error:
        return unknown.of(item, "event", _TYPES, error)
    kind, at = _TYPES.get(told.event, EventType.UNKNOWN), _at(told)
    tagged, tags = marks.of_tags(_tags(told))
    custom = told.custom or ""
    # Brevo's own form of the header is name:value|name:value.
    ours = marks.of_json(custom) or marks.of_tags(part.strip() for part in custom.split("|"))[0] or tagged
    # One open is one event, whether it is told as the first one, as any one, or as both.
    opened = kind is EventType.OPENED and at is not None
    return [
        Reading(
            type=kind,
            name="opened" if opened else told.event,
            at=at,
            event_id=f"{told.message_id} {at}" if opened else "",
            message=ours,
            provider_message=told.message_id,
            recipient=told.email,
            bounce=(BounceType.HARD if told.event == "hard_bounce" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=told.reason or "" if kind in _REASONED else "",
            url=told.link or "",
            user_agent=told.user_agent or "",
            ip=told.ip or "",
            from_address=told.sender_email or "",
            subject=told.subject or "",
            template=str(told.template_id or ""),
            tags=tags,
        )
    ]


PROVIDER = Provider(
    slug="brevo",
    name="BREVO",
    secret=SecretOrigin.OURS,
    verify=_verify,
    items=_items,
    read=_read,
    password_in_url=True,
)
