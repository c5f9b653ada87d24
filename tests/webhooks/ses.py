"""What the tests of SES and SNS share: mail, events and deliveries as they come."""

from typing import Any

from tests.webhooks.deliveries import OUR_ID, delivery

SENT_AT = "2026-03-01T10:00:00.512Z"
BOUNCE = {
    "bounceType": "Permanent",
    "bounceSubType": "General",
    "bouncedRecipients": [
        {
            "emailAddress": "ada@mail.example",
            "action": "failed",
            "status": "5.1.1",
            "diagnosticCode": "smtp; 550 5.1.1 no such user",
        }
    ],
    "timestamp": "2026-03-01T10:00:03.250Z",
    "feedbackId": "0102018e-feed",
    "reportingMTA": "dsn; mta.example",
}


def mail(**changes: Any) -> dict[str, Any]:
    return {
        "timestamp": SENT_AT,
        "source": "news@shop.example",
        "messageId": "0102018e-0001",
        "destination": ["ada@mail.example"],
        "headersTruncated": False,
        "headers": [{"name": "Subject", "value": "Hello"}],
        "commonHeaders": {"from": ["Shop <news@shop.example>"], "to": ["ada@mail.example"], "subject": "Hello"},
        "tags": {"ses:configuration-set": ["main"], "campaign": ["spring"], "postmeter_id": [OUR_ID]},
    } | changes


def event(kind: str, details: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    name = {"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure"}.get(kind, kind.lower())
    return {"eventType": kind, "mail": mail(), name: details or {}} | changes


def raw_delivery(content: Any) -> Any:
    return delivery(content, {"x-amz-sns-rawdelivery": "true"})
