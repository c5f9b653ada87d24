"""What Postmark tells: events with the fields that its documentation names."""

from typing import Any

from postmeter.shared.stream.events import EventType
from tests.webhooks.deliveries import OUR_ID

AT = "2026-03-01T10:00:00.1234567Z"


def record(kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "RecordType": kind,
        "ServerID": 23,
        "MessageStream": "outbound",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Tag": "welcome",
        "Metadata": {"postmeter_id": OUR_ID, "order": "7"},
    } | changes


def bounce(kind: str, **changes: Any) -> dict[str, Any]:
    return record(
        "Bounce",
        ID=4323372036854775807,
        Type=kind,
        Email="ada@mail.example",
        From="news@shop.example",
        Subject="Hello",
        BouncedAt=AT,
        Description="The server was unable to deliver your message.",
        Details="550 no such user",
        **changes,
    )


RECORDS: list[tuple[Any, ...]] = [
    (record("Delivery", Recipient="ada@mail.example", DeliveredAt=AT), EventType.DELIVERED, "Delivery"),
    (bounce("HardBounce"), EventType.BOUNCED, "Bounce HardBounce"),
    (
        record("SpamComplaint", Type="SpamComplaint", Email="ada@mail.example", BouncedAt=AT, ID=1),
        EventType.COMPLAINED,
        "SpamComplaint SpamComplaint",
    ),
    (record("Open", Recipient="ada@mail.example", ReceivedAt=AT, FirstOpen=True), EventType.OPENED, "Open"),
    (record("Click", Recipient="ada@mail.example", ReceivedAt=AT), EventType.CLICKED, "Click"),
    (record("Teleport", Recipient="ada@mail.example", ReceivedAt=AT), EventType.UNKNOWN, "Teleport"),
]
"""Each event that a table of the provider's names, and what it is."""


def change(suppress: bool, reason: str | None, origin: str) -> dict[str, Any]:
    return record(
        "SubscriptionChange",
        ChangedAt=AT,
        Recipient="ada@mail.example",
        Origin=origin,
        SuppressSending=suppress,
        SuppressionReason=reason,
    )
