"""What Mandrill tells: events with the fields that its documentation names."""

import json
from typing import Any
from urllib.parse import urlencode

from postmeter.shared.stream.events import BounceType, EventType
from tests.webhooks.deliveries import OUR_ID

AT = 1_700_000_001


def form(events: object, **more: str) -> bytes:
    return urlencode({"mandrill_events": json.dumps(events), **more}).encode()


def event(name: str, message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    msg = {
        "_id": "0123456789abcdef0123456789abcdef",
        "_version": "v" * 22,
        "ts": AT - 60,
        "subject": "Your invoice",
        "email": "reader@example.org",
        "sender": "billing@sender.example",
        "template": "invoice",
        "tags": ["invoice", "monthly"],
        "metadata": {"postmeter_id": OUR_ID, "customer": 7},
        "state": "sent",
        "opens": [],
        "clicks": [],
        **(message or {}),
    }
    return {"event": name, "_id": msg["_id"], "ts": AT, "msg": msg, **more}


EVENTS: list[tuple[Any, ...]] = [
    ("send", EventType.SENT, None),
    ("deferral", EventType.DEFERRED, None),
    ("delivered", EventType.DELIVERED, None),
    ("hard_bounce", EventType.BOUNCED, BounceType.HARD),
    ("soft_bounce", EventType.BOUNCED, BounceType.SOFT),
    ("reject", EventType.FAILED, None),
    ("spam", EventType.COMPLAINED, None),
    ("unsub", EventType.UNSUBSCRIBED, None),
    ("open", EventType.OPENED, None),
    ("click", EventType.CLICKED, None),
    ("inbound", EventType.UNKNOWN, None),
]
"""Each event that a table of the provider's names, and what it is."""
