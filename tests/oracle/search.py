"""POST /v1/messages/search (docs/api/search.md)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from postmeter.shared.stream.events import EventType, State
from tests.oracle.asking import Asking, Refused
from tests.oracle.history import Message
from tests.oracle.times import backwards, is_date, parse, stamp

ENGAGED = {
    "opened": EventType.OPENED,
    "clicked": EventType.CLICKED,
    "replied": EventType.REPLIED,
    "unsubscribed": EventType.UNSUBSCRIBED,
}
STATES = {"bounced": {State.SOFT_BOUNCED, State.HARD_BOUNCED}, "complained": {State.COMPLAINED}}


def search(asking: Asking, body: dict[str, Any]) -> dict[str, Any]:
    """All pages. By the message's creation, the latest first; those of one moment by their ids."""
    end = parse(body["to"], last=True) if body.get("to") else asking.now + timedelta(hours=1)
    start = parse(body["from"], last=False) if body.get("from") else min(end, asking.now) - timedelta(days=30)
    if backwards(start, end, day=is_date(body.get("to"))):
        raise Refused(400, "INVALID_FIELD")
    found = [
        message
        for message in asking.messages()
        if start <= message.created < end and engaged(message, body.get("engagement")) and passes(message, body)
    ]
    found.sort(key=lambda message: message.record.message)
    found.sort(key=lambda message: message.created, reverse=True)
    return {"data": [shown(message) for message in found], "next_cursor": None}


def engaged(message: Message, engagement: str | None) -> bool:
    """`opened` and `clicked`: by a person or a proxy, never by a machine (semantics.md, "Machine traffic")."""
    if engagement is None:
        return True
    if engagement in STATES:
        return message.state in STATES[engagement]
    return (ENGAGED[engagement.removeprefix("not_")] in message.first) != engagement.startswith("not_")


def passes(message: Message, body: dict[str, Any]) -> bool:
    """As POST /v1/query: all dimensions must match, any value of each; "" is a message without one."""
    place = message.place
    for dimension, allowed in body.get("filters", {}).items():
        values = (place.tags or ("",)) if dimension == "tag" else (getattr(place, dimension),)
        if not {*values} & {*allowed}:
            return False
    return True


def shown(message: Message) -> dict[str, Any]:
    record, bounced = message.record, STATES["bounced"]
    times = (message.sent, message.first.get(EventType.OPENED), message.first.get(EventType.CLICKED))
    sent, opened, clicked = (None if at is None else stamp(at) for at in times)
    return {
        "id": str(UUID(bytes=record.message)),
        "recipient_ref": record.recipient_ref or None,
        "to_hash": record.to_hash,
        "campaign": record.campaign or None,
        "subject": record.subject,
        "status": "bounced" if message.state in bounced else message.state.name.lower(),
        "sent_at": sent,
        "first_opened_at": opened,
        "first_clicked_at": clicked,
    }
