"""What MailerSend tells: events with the fields that its documentation names."""

from collections.abc import Callable
from typing import Any

from postmeter.shared.stream.events import BounceType, EventType
from tests.webhooks.deliveries import OUR_ID

AT = "2026-09-12T18:45:01.000000Z"
EARLIER = "2026-09-12T18:44:59.018000Z"


Event = Callable[..., dict[str, Any]]


def second(name: str, meta: Any = (), **more: Any) -> dict[str, Any]:
    """As version 2 tells it."""
    data = {
        "id": "6aa59dad05e8ec525fe6ef95",
        "domain_id": "yv69oxl5kl785kw2",
        "message_id": "6aa59d2fbf35297925087058",
        "email_id": "6aa59d3037403a10c4d4d18e",
        "type": name.removeprefix("activity."),
        "subject": "Your invoice",
        "recipient": "reader@example.org",
        "tags": ["invoice", f"postmeter_id:{OUR_ID}"],
        "meta": meta,
        **more,
    }
    return {"type": name, "created_at": AT, "webhook_id": "w1", "data": data}


def first(name: str, morph: Any = None, **more: Any) -> dict[str, Any]:
    """As version 1 tells it."""
    email = {
        "object": "email",
        "id": "6aa59d3037403a10c4d4d18e",
        "from": "billing@sender.example",
        "subject": "Your invoice",
        "status": "delivered",
        "tags": ["invoice", f"postmeter_id:{OUR_ID}"],
        "headers": None,
        "message": {"object": "message", "id": "6aa59d2fbf35297925087058", "created_at": EARLIER},
        "recipient": {"object": "recipient", "id": "r1", "email": "reader@example.org"},
    }
    data = {
        "object": "activity",
        "id": "6aa59dad05e8ec525fe6ef95",
        "type": name.removeprefix("activity."),
        "created_at": AT,
        "email": email,
        "morph": morph,
        "template_id": "0z76k5jg0o3yeg2d",
        **more,
    }
    return {"type": name, "domain_id": "d1", "created_at": AT, "webhook_id": "w1", "url": "https://x", "data": data}


EVENTS: list[tuple[Any, ...]] = [
    ("activity.sent", EventType.SENT, None),
    ("activity.delivered", EventType.DELIVERED, None),
    ("activity.deferred", EventType.DEFERRED, None),
    ("activity.soft_bounced", EventType.BOUNCED, BounceType.SOFT),
    ("activity.hard_bounced", EventType.BOUNCED, BounceType.HARD),
    ("activity.suppressed", EventType.FAILED, None),
    ("activity.opened", EventType.OPENED, None),
    ("activity.opened_unique", EventType.OPENED, None),
    ("activity.clicked", EventType.CLICKED, None),
    ("activity.clicked_unique", EventType.CLICKED, None),
    ("activity.unsubscribed", EventType.UNSUBSCRIBED, None),
    ("activity.spam_complaint", EventType.COMPLAINED, None),
    ("activity.survey_opened", EventType.UNKNOWN, None),
]
"""Each event that a table of the provider's names, and what it is."""
