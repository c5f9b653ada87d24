"""`POST /v1/events`: what happened to messages."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Endpoint, Limit, Service, described, one_of, read_later
from postmeter.shared.stream.events import EventType

_EVENT_TYPES = (*(kind.name.lower() for kind in EventType if kind is not EventType.UNKNOWN), "rejected")


class EventBody(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event. Repetitions are recognised by its encoding, so a new field goes to the end."""

    type: Annotated[str, one_of(*_EVENT_TYPES)]
    message_id: UUID | None = None
    provider: str | None = None
    provider_message_id: str | None = None
    timestamp: Annotated[str | None, described("A time with a zone. Default: now.", format="date-time")] = None
    id: Annotated[str | None, described("Idempotency key.")] = None
    bounce_type: Annotated[str | None, one_of("hard", "soft")] = None
    reason: str | None = None
    url: str | None = None
    user_agent: str | None = None
    ip: str | None = None
    domain: str | None = None
    size_bytes: int | None = None
    spam: bool | None = None


class EventsBody(Struct, forbid_unknown_fields=True):
    """Events of a batch; also taken as NDJSON."""

    events: list[Annotated[msgspec.Raw, read_later(EventBody)]]


class Rejected(Struct, frozen=True):
    """An item of a list that was not taken. field: which one is at fault; null: the item as such."""

    index: int
    code: str
    message: str
    field: str | None


class EventsAnswer(Struct):
    """POST /v1/events."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/events",
        document=NATIVE,
        service=Service.TRACKING,
        summary="Report events",
        scope="track",
        limit=Limit.WRITE,
        timeout=30.0,
        max_body=8 * 1024 * 1024,
        body_media=("application/json", "application/x-ndjson", "application/ndjson", "application/jsonl"),
        body=EventsBody,
        answer=EventsAnswer,
        status=202,
        failures=(409,),
    ),
)
