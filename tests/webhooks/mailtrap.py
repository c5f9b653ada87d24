"""What Mailtrap tells: events with the fields that its documentation names."""

from typing import Any

from postmeter.shared.stream.events import BounceType, EventType
from tests.webhooks.deliveries import OUR_ID

AT = 1_700_000_002


def event(name: str, **more: Any) -> dict[str, Any]:
    return {
        "event": name,
        "event_id": "7c2d1a52-9f5c-4f3c-8a7e-0c6f7f3a9b11",
        "message_id": "c0ffee00-0000-4000-8000-000000000001",
        "sending_stream": "transactional",
        "email": "reader@example.org",
        "timestamp": AT,
        "category": "Invoice",
        "custom_variables": {"postmeter_id": OUR_ID, "order": 7},
        **more,
    }


EVENTS: list[tuple[Any, ...]] = [
    ("delivery", EventType.DELIVERED, None),
    ("soft bounce", EventType.DEFERRED, None),
    ("bounce", EventType.BOUNCED, BounceType.HARD),
    ("suspension", EventType.DEFERRED, None),
    ("reject", EventType.FAILED, None),
    ("unsubscribe", EventType.UNSUBSCRIBED, None),
    ("spam", EventType.COMPLAINED, None),
    ("open", EventType.OPENED, None),
    ("click", EventType.CLICKED, None),
    ("teleport", EventType.UNKNOWN, None),
]
"""Each event that a table of the provider's names, and what it is."""
