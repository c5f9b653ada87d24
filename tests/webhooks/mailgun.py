"""What Mailgun tells: events with the fields that its documentation names."""

from typing import Any

from postmeter.shared.stream.events import EventType
from tests.webhooks.deliveries import OUR_ID
from tests.webhooks.signatures import mailgun_signature

KEY = "the account's webhook signing key"


def event(kind: str, **changes: Any) -> dict[str, Any]:
    data = {
        "event": kind,
        "id": "CPgfbmQMTCKtHW6uIWtuVe",
        "timestamp": 1521472262.908181,
        "recipient": "ada@mail.example",
        "message": {
            "headers": {
                "message-id": "20260301.1@mg.shop.example",
                "from": "Shop <news@shop.example>",
                "to": "ada@mail.example",
                "subject": "Hello",
            },
            "size": 111,
        },
        "tags": ["welcome"],
        "campaigns": [],
        "user-variables": {"postmeter_id": OUR_ID, "order": "7"},
    }
    return data | {name.replace("_", "-"): value for name, value in changes.items()}


def body(data: Any, signature: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"signature": mailgun_signature(KEY) if signature is None else signature, "event-data": data}


def failed(severity: str, reason: str, **status: Any) -> dict[str, Any]:
    return event("failed", severity=severity, reason=reason, delivery_status=status)


EVENTS: list[tuple[Any, ...]] = [
    ("accepted", EventType.SENT),
    ("delivered", EventType.DELIVERED),
    ("opened", EventType.OPENED),
    ("clicked", EventType.CLICKED),
    ("complained", EventType.COMPLAINED),
    ("unsubscribed", EventType.UNSUBSCRIBED),
    ("rejected", EventType.FAILED),
    ("stored", EventType.UNKNOWN),
    ("list_member_uploaded", EventType.UNKNOWN),
]
"""Each event that a table of the provider's names, and what it is."""
