"""Brevo (Sendinblue): a JSON object per call, or a list where batching is on. Nothing is signed.

https://developers.brevo.com/docs/transactional-webhooks
https://developers.brevo.com/docs/secured-webhooks
Our password comes by basic authentication, from the URL, or as a bearer token. Our id travels in the mail's header
`X-Mailin-custom`, as `postmeter_id:UUID` or JSON, or as the tag `postmeter_id:UUID`. `message-id` is Brevo's id of
the message. `id` is the webhook's, not the event's; an item's bytes stand for the event, but for opens.
"""

from __future__ import annotations

from collections.abc import Sequence

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import items, lenient_json, marks, moments, signatures
from postmeter.tracking.webhooks.lenient_json import JsonObject
from postmeter.tracking.webhooks.provider import Delivery, Provider, Reading, SecretOrigin, WebhookSource

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


async def _verify(delivery: Delivery, source: WebhookSource) -> None:
    scheme, _, token = delivery.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        await signatures.basic_auth(delivery, source)
        return
    signatures.require(signatures.same(token.strip(), source.secret.reveal()))


def _items(delivery: Delivery) -> Sequence[bytes]:
    body = delivery.body
    return items.of_list(body) if body.lstrip()[:1] == b"[" else items.of_object(body)


def _at(item: JsonObject) -> moments.At:
    """`ts_epoch` is documented in milliseconds, 13 digits, and shown in seconds in some of Brevo's examples."""
    precise = item.text("ts_epoch")
    return moments.of(precise if len(precise) >= 13 else item.text("ts_event", "ts_epoch"))


def _tags(item: JsonObject) -> list[str]:
    """Of the list `tags`, else of `tag`: one tag, or a list written as JSON."""
    if tags := item.texts("tags") or item.texts("tag"):
        listed = lenient_json.list_of(marks.json_of(tags[0])) if len(tags) == 1 else ()
        return [lenient_json.text_of(tag) for tag in listed] or tags
    return []


def _read(body: bytes) -> list[Reading]:
    item = lenient_json.item_of(body)
    name = item.word("event")
    kind, at = _TYPES.get(name, EventType.UNKNOWN), _at(item)
    tagged, tags = marks.of_tags(_tags(item))
    message, custom = item.text("message-id"), item.text("X-Mailin-custom")
    # Brevo's own form of the header is name:value|name:value.
    ours = marks.of_json(custom) or marks.of_tags(part.strip() for part in custom.split("|"))[0] or tagged
    # One open is one event, whether it is told as the first one, as any one, or as both.
    opened = kind is EventType.OPENED and isinstance(at, int)
    return [
        Reading(
            type=kind,
            name="opened" if opened else item.text("event"),
            at=at,
            event_id=f"{message} {at}" if opened else "",
            message=ours,
            provider_message=message,
            recipient=item.text("email"),
            bounce=(BounceType.HARD if name == "hard_bounce" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=item.text("reason") if kind in _REASONED else "",
            url=item.text("link"),
            user_agent=item.text("user_agent"),
            ip=item.text("ip"),
            from_address=item.text("sender_email"),
            subject=item.text("subject"),
            template=item.text("template_id"),
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
