"""MailerSend: one JSON object per call, of one of two versions; Signature is HMAC-SHA256 of the body, as hex.

https://developers.mailersend.com/api/v1/webhooks
https://www.mailersend.com/help/webhooks
The secret is the webhook's signing secret. Our id travels as the tag `postmeter_id:UUID`. The message's id is what
the send answer calls X-Message-Id: `data.message_id`, in the older version `data.email.message.id`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import items, lenient_json, marks, moments, signatures
from postmeter.tracking.webhooks.provider import Delivery, Provider, Reading, SecretOrigin, WebhookSource

_PING = "webhook.test"
_PING_SECRET = b"test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"
"""With what MailerSend signs the call that tries a URL out before the webhook, and its secret, exists. It is public:
it vouches for nothing but that call, which says nothing."""
_TYPES = {
    "activity.sent": EventType.SENT,
    "activity.delivered": EventType.DELIVERED,
    "activity.deferred": EventType.DEFERRED,
    "activity.soft_bounced": EventType.BOUNCED,
    "activity.hard_bounced": EventType.BOUNCED,
    "activity.suppressed": EventType.FAILED,
    "activity.opened": EventType.OPENED,
    "activity.opened_unique": EventType.OPENED,
    "activity.clicked": EventType.CLICKED,
    "activity.clicked_unique": EventType.CLICKED,
    "activity.unsubscribed": EventType.UNSUBSCRIBED,
    "activity.spam_complaint": EventType.COMPLAINED,
}
_REASONS = ("bounce_reason", "suppression_reason", "unsubscribe_reason", "reason", "readable_reason")
_REASONED = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED, EventType.UNSUBSCRIBED})
_ENGAGEMENT = frozenset({EventType.OPENED, EventType.CLICKED})

_KIND = lenient_json.FewFields("type")


def _is_ping(body: bytes) -> bool:
    return _KIND.of(body, mend=False).text("type") == _PING


async def _verify(delivery: Delivery, source: WebhookSource) -> None:
    given, body = signatures.header(delivery, "Signature"), delivery.body
    if signatures.same(given, hmac.new(_PING_SECRET, body, hashlib.sha256).hexdigest()) and _is_ping(body):
        return
    signatures.require(signatures.same(given, signatures.sha256_hex(source, body)))


def _items(delivery: Delivery) -> Sequence[bytes]:
    return [] if _is_ping(delivery.body) else items.of_object(delivery.body)


def _read(body: bytes) -> list[Reading]:
    item = lenient_json.item_of(body)
    name, data = item.word("type"), item.object("data")
    kind = _TYPES.get(name, EventType.UNKNOWN)
    # `data.email` is an object in the older version; in the newer one the recipient's address may stand in its place.
    email = data.object("email")
    recipient = data.text("recipient") or email.object("recipient").text("email") or data.text("email")
    # What belongs to the kind of event: `meta`, an empty list where there is nothing; `morph` in the older version.
    more = data.object("meta") or data.object("morph")
    words = [more.text("bounce_code"), *(more.text(reason) for reason in _REASONS)]
    at = moments.of(more.text("created_at") or data.text("created_at") or item.text("created_at"))
    url, ip = more.text("url"), more.text("ip")
    message = data.text("message_id") or email.object("message").text("id")
    ours, tags = marks.of_tags(data.texts("tags") or email.texts("tags"))
    # A first open or click is told as such besides, under another id: both are one, known by who, when and what.
    engaged = kind in _ENGAGEMENT and isinstance(at, int)
    return [
        Reading(
            type=kind,
            name=item.text("type").removesuffix("_unique") if engaged else item.text("type"),
            at=at,
            event_id=f"{message} {at} {ip} {url}" if engaged else data.text("id"),
            message=ours,
            provider_message=message,
            recipient=recipient,
            bounce=(BounceType.HARD if name == "activity.hard_bounced" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=" ".join(word for word in words if word) if kind in _REASONED else "",
            url=url,
            user_agent=more.text("user_agent"),
            ip=ip,
            from_address=email.text("from"),
            subject=data.text("subject") or email.text("subject"),
            template=data.text("template_id"),
            tags=tags,
        )
    ]


PROVIDER = Provider(
    slug="mailersend", name="MAILERSEND", secret=SecretOrigin.THEIRS, verify=_verify, items=_items, read=_read
)
