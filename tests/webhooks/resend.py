"""What Resend tells: events with the fields that its documentation names."""

import base64
from typing import Any

from postmeter.shared.stream.events import EventType
from tests.webhooks.deliveries import OUR_ID

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
AT = "2026-03-01T10:00:00.126Z"


def event(kind: str, **changes: Any) -> dict[str, Any]:
    data = {
        "created_at": "2026-03-01T09:59:59.894719+00:00",
        "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
        "broadcast_id": "8b146471-e88e-4322-86af-016cd36fd216",
        "template_id": "43f68331-0622-4e15-8202-246a0388854b",
        "from": "Shop <news@shop.example>",
        "to": ["ada@mail.example"],
        "subject": "Hello",
        "tags": {"category": "welcome", "postmeter_id": OUR_ID},
    }
    return {"type": kind, "created_at": AT, "data": data | changes}


EVENTS: list[tuple[Any, ...]] = [
    ("email.scheduled", EventType.QUEUED),
    ("email.sent", EventType.SENT),
    ("email.delivered", EventType.DELIVERED),
    ("email.delivery_delayed", EventType.DEFERRED),
    ("email.bounced", EventType.BOUNCED),
    ("email.failed", EventType.FAILED),
    ("email.suppressed", EventType.FAILED),
    ("email.complained", EventType.COMPLAINED),
    ("email.opened", EventType.OPENED),
    ("email.clicked", EventType.CLICKED),
    ("email.teleported", EventType.UNKNOWN),
]
"""Each event that a table of the provider's names, and what it is."""
