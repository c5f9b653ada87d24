"""Brevo (Sendinblue): a JSON object per call, or a list where batching is on. Nothing is signed.

https://developers.brevo.com/docs/transactional-webhooks
Basic authentication in the URL carries our password. Our id travels in the header `X-Mailin-custom` of the mail as
`postmeter_id:UUID`, which comes back as a field of that name, or as the tag `postmeter_id:UUID`. `message-id` is
Brevo's id of the message. Its `id` is the webhook's, not the event's; an item's bytes stand for the event.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import items, moments, signatures
from postmeter.tracking.webhooks.delivery import Delivery
from postmeter.tracking.webhooks.provider import MESSAGE_KEY, Provider, SecretOrigin
from postmeter.tracking.webhooks.reading import Reading

_MILLISECONDS = 100_000_000_000
_TYPES = {
    "request": EventType.SENT,
    "sent": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "deferred": EventType.DEFERRED,
    "hard_bounce": EventType.BOUNCED,
    "soft_bounce": EventType.BOUNCED,
    "invalid_email": EventType.FAILED,
    "blocked": EventType.FAILED,
    "error": EventType.FAILED,
    "spam": EventType.COMPLAINED,
    "complaint": EventType.COMPLAINED,
    "unsubscribed": EventType.UNSUBSCRIBED,
    "opened": EventType.OPENED,
    "click": EventType.CLICKED,
}
"""`unique_opened`, `proxy_open` and `unique_proxy_open` come besides `opened`, or instead: see the provider's page."""


class _Item(msgspec.Struct, rename="kebab"):
    event: str = ""
    email: str = ""
    ts_event: int | float | None = msgspec.field(name="ts_event", default=None)
    ts_epoch: int | float | None = msgspec.field(name="ts_epoch", default=None)
    message_id: str = ""
    subject: str = ""
    tags: list[str] | None = None
    reason: str | None = None
    link: str | None = None
    ip: str | None = None
    user_agent: str | None = msgspec.field(name="user_agent", default=None)
    sender_email: str | None = msgspec.field(name="sender_email", default=None)
    template_id: int | str | None = msgspec.field(name="template_id", default=None)
    custom: str | None = msgspec.field(name="X-Mailin-custom", default=None)


_decoder = msgspec.json.Decoder(_Item)


def _items(delivery: Delivery) -> Sequence[bytes]:
    body = delivery.body
    return items.of_list(body) if body.lstrip()[:1] == b"[" else items.of_object(body)


def _ours(told: _Item) -> str:
    for text in (*(told.custom or "").replace("|", ",").split(","), *(told.tags or ())):
        name, _, value = str(text).partition(":")
        if name.strip() == MESSAGE_KEY:
            return str(value.strip())
    return ""


def _read(item: bytes) -> list[Reading]:
    told = _decoder.decode(item)
    kind = _TYPES.get(told.event, EventType.UNKNOWN)
    # Some events carry milliseconds in ts_epoch, some seconds.
    precise = told.ts_epoch is not None and told.ts_epoch > _MILLISECONDS
    at = told.ts_epoch / 1000 if precise and told.ts_epoch is not None else told.ts_event
    return [
        Reading(
            type=kind,
            name=told.event,
            at=moments.of_epoch(at),
            message=_ours(told),
            provider_message=told.message_id,
            recipient=told.email,
            bounce=(BounceType.HARD if told.event == "hard_bounce" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=told.reason or "",
            url=told.link or "",
            user_agent=told.user_agent or "",
            ip=told.ip or "",
            from_address=told.sender_email or "",
            subject=told.subject,
            template=str(told.template_id or ""),
            tags=tuple(tag for tag in told.tags or () if not tag.startswith(f"{MESSAGE_KEY}:")),
        )
    ]


PROVIDER = Provider(
    slug="brevo", name="BREVO", secret=SecretOrigin.OURS, verify=signatures.basic_auth, items=_items, read=_read
)
