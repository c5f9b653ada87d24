"""What SparkPost tells: events with the fields that its documentation names."""

from typing import Any

from postmeter.shared.stream.events import EventType
from tests.webhooks.deliveries import NOW, OUR_ID


def event(kind: str, envelope: str = "message_event", **changes: Any) -> dict[str, Any]:
    content = {
        "type": kind,
        "event_id": "92356927693813856",
        "timestamp": str(NOW - 5),
        "message_id": "000443ee14578172be22",
        "transmission_id": "65832150921904138",
        "rcpt_to": "ada@mail.example",
        "raw_rcpt_to": "Ada@mail.example",
        "rcpt_meta": {"postmeter_id": OUR_ID, "order": 7},
        "rcpt_tags": ["welcome"],
        "friendly_from": "news@shop.example",
        "subject": "Hello",
        "campaign_id": "spring",
        "template_id": "welcome-1",
        "ip_address": "203.0.113.9",
    }
    return {"msys": {envelope: content | changes}}


EVENTS: list[tuple[Any, ...]] = [
    ("injection", "message_event", EventType.SENT),
    ("delivery", "message_event", EventType.DELIVERED),
    ("delay", "message_event", EventType.DEFERRED),
    ("bounce", "message_event", EventType.BOUNCED),
    ("out_of_band", "message_event", EventType.BOUNCED),
    ("policy_rejection", "message_event", EventType.FAILED),
    ("spam_complaint", "message_event", EventType.COMPLAINED),
    ("generation_failure", "gen_event", EventType.FAILED),
    ("generation_rejection", "gen_event", EventType.FAILED),
    ("open", "track_event", EventType.OPENED),
    ("initial_open", "track_event", EventType.UNKNOWN),
    ("click", "track_event", EventType.CLICKED),
    ("amp_open", "track_event", EventType.OPENED),
    ("amp_initial_open", "track_event", EventType.UNKNOWN),
    ("amp_click", "track_event", EventType.CLICKED),
    ("list_unsubscribe", "unsubscribe_event", EventType.UNSUBSCRIBED),
    ("link_unsubscribe", "unsubscribe_event", EventType.UNSUBSCRIBED),
    ("relay_injection", "relay_event", EventType.UNKNOWN),
    ("teleport", "new_event", EventType.UNKNOWN),
]
"""Each event that a table of the provider's names, and what it is."""
