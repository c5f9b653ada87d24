"""What Postal tells: events with the fields that its documentation names."""

from typing import Any

from postmeter.shared.stream.events import BounceType, EventType
from tests.webhooks.deliveries import OUR_ID

AT = 1_700_000_005.129
UUID = "e8f0b6f0-9c5a-4b35-9f21-5f0d5a0a7c11"


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": 12345,
        "token": "abcdef123",
        "direction": "outgoing",
        "message_id": "5817a64332f44@rp.sender.example",
        "to": "reader@example.org",
        "from": "billing@sender.example",
        "subject": "Your invoice",
        "timestamp": AT - 60,
        "spam_status": "NotSpam",
        "tag": f"postmeter_id:{OUR_ID}",
        **more,
    }


def event(name: str, payload: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    payload = {"message": message()} if payload is None else payload
    return {"event": name, "timestamp": AT, "payload": payload, "uuid": UUID, **more}


def attempt(name: str, status: str, output: str, details: str, **more: Any) -> dict[str, Any]:
    told = {"status": status, "details": details, "output": output, "sent_with_ssl": True, "time": 0.2}
    return event(name, {**told, "timestamp": AT - 1, "message": message(**more)})


SENT = attempt("MessageSent", "Sent", "250 2.0.0 OK", "Message accepted by mx.example.org")
DELAYED = attempt("MessageDelayed", "SoftFail", "451 4.7.1 later", "Temporary SMTP delivery error")
REFUSED = attempt("MessageDeliveryFailed", "HardFail", "550 5.1.1 gone", "Permanent SMTP delivery error")
GIVEN_UP = attempt(
    "MessageDeliveryFailed", "HardFail", "", "Maximum number of delivery attempts (18) has been reached."
)


HELD = attempt("MessageHeld", "Held", "", "Server is in development mode.")
SUPPRESSED = attempt("MessageHeld", "Held", "", "Recipient (a@b.example) is on the suppression list (reason: too many)")
BOUNCED = event(
    "MessageBounced",
    {
        "original_message": message(),
        "bounce": message(token="other", direction="incoming", to="x@rp.example", tag=None),
    },
)


CLICKED = event(
    "MessageLinkClicked",
    {
        "message": message(),
        "url": "https://shop.example/?q=1",
        "token": "VJzsFA0S",
        "ip_address": "203.0.113.9",
        "user_agent": "Mozilla/5.0 (X11)",
    },
)


LOADED = event("MessageLoaded", {"message": message(), "ip_address": "203.0.113.9", "user_agent": "Mozilla/5.0"})


EVENTS: list[tuple[Any, ...]] = [
    (SENT, EventType.DELIVERED, None, ""),
    (DELAYED, EventType.DEFERRED, None, "451 4.7.1 later Temporary SMTP delivery error"),
    (REFUSED, EventType.BOUNCED, BounceType.HARD, "550 5.1.1 gone Permanent SMTP delivery error"),
    (GIVEN_UP, EventType.FAILED, None, "Maximum number of delivery attempts (18) has been reached."),
    (HELD, EventType.DEFERRED, None, "Server is in development mode."),
    (SUPPRESSED, EventType.FAILED, None, SUPPRESSED["payload"]["details"]),
    (BOUNCED, EventType.BOUNCED, BounceType.HARD, ""),
    (CLICKED, EventType.CLICKED, None, ""),
    (LOADED, EventType.OPENED, None, ""),
    (event("MessageTeleported"), EventType.UNKNOWN, None, ""),
]
"""Each event that a table of the provider's names, and what it is."""
