"""What SendGrid tells: events with the fields that its documentation names."""

from typing import Any

from postmeter.shared.stream.events import EventType
from tests.webhooks.deliveries import NOW, OUR_ID


def event(kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "event": kind,
        "email": "ada@mail.example",
        "timestamp": NOW - 5,
        "sg_event_id": "ZXZlbnQtMQ",
        "sg_message_id": "14c5d75ce93.filter0001.16648.5515E0B88.0",
        "smtp-id": "<14c5d75ce93@ismtpd-001>",
        "category": ["welcome", "spring"],
        "postmeter_id": OUR_ID,
    } | changes


EVENTS: list[tuple[Any, ...]] = [
    ("processed", EventType.SENT),
    ("deferred", EventType.DEFERRED),
    ("delivered", EventType.DELIVERED),
    ("bounce", EventType.BOUNCED),
    ("dropped", EventType.FAILED),
    ("open", EventType.OPENED),
    ("click", EventType.CLICKED),
    ("spamreport", EventType.COMPLAINED),
    ("unsubscribe", EventType.UNSUBSCRIBED),
    ("group_unsubscribe", EventType.UNSUBSCRIBED),
    ("group_resubscribe", EventType.UNKNOWN),
    ("teleported", EventType.UNKNOWN),
]
"""Each event that a table of the provider's names, and what it is."""
