"""What Brevo tells: events with the fields that its documentation names."""

from typing import Any

from postmeter.shared.stream.events import BounceType, EventType

AT = 1_700_000_003


def event(name: str, **more: Any) -> dict[str, Any]:
    return {
        "event": name,
        "email": "reader@example.org",
        "id": 814119,
        "date": "2023-11-14 23:13:23",
        "ts": AT + 3600,
        "ts_event": AT,
        "ts_epoch": AT * 1000 + 456,
        "message-id": "<202311142313.1234567@smtp-relay.mailin.fr>",
        "subject": "Your invoice",
        "sender_email": "billing@sender.example",
        "template_id": 22,
        "tags": ["invoice", "monthly"],
        **more,
    }


EVENTS: list[tuple[Any, ...]] = [
    ("request", EventType.SENT, None),
    ("delivered", EventType.DELIVERED, None),
    ("deferred", EventType.DEFERRED, None),
    ("hard_bounce", EventType.BOUNCED, BounceType.HARD),
    ("soft_bounce", EventType.BOUNCED, BounceType.SOFT),
    ("invalid_email", EventType.FAILED, None),
    ("blocked", EventType.FAILED, None),
    ("error", EventType.FAILED, None),
    ("spam", EventType.COMPLAINED, None),
    ("complaint", EventType.COMPLAINED, None),
    ("unsubscribe", EventType.UNSUBSCRIBED, None),
    ("unsubscribed", EventType.UNSUBSCRIBED, None),
    ("click", EventType.CLICKED, None),
    ("opened", EventType.OPENED, None),
    ("unique_opened", EventType.OPENED, None),
    ("proxy_open", EventType.OPENED, None),
    ("unique_proxy_open", EventType.OPENED, None),
    ("list_addition", EventType.UNKNOWN, None),
]
"""Each event that a table of the provider's names, and what it is."""
