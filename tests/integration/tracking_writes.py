"""What the tests of POST /v1/messages and /v1/events share."""

import uuid
from datetime import UTC, datetime
from typing import Any

from postmeter.shared.stream.records import Event, Registration
from tests.integration.tracking_service import Reply, Service, once

MESSAGE = {"from_address": "News <news@Shop.Example>", "to": "  Ada@Mail.example "}
SENT = {"type": "sent", "message_id": "0192abc0-def1-7000-8000-000000000001"}
GZIP = "Content-Encoding: gzip"
NDJSON = "Content-Type: application/x-ndjson"


def registration(service: Service, reply: Reply) -> Registration:
    """The record of the one message that `reply` has accepted."""
    assert reply.status == 201, reply.body
    message = uuid.UUID(reply.json()["data"]["id"]).bytes
    (found,) = [one for one in once(service.redis_url) if isinstance(one, Registration) and one.message == message]
    return found


def events_of(service: Service, message: str) -> list[Event]:
    wanted = uuid.UUID(message).bytes
    return [one for one in once(service.redis_url) if isinstance(one, Event) and one.message == wanted]


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def now() -> datetime:
    return datetime.now(UTC)


def error(reply: Reply) -> dict[str, Any]:
    found = reply.json()["error"]
    assert isinstance(found, dict)
    return found
