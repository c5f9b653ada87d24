"""One custom event as it is given, and the record it becomes."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from postmeter.shared.apis.documents.misar import TrackEventBody
from postmeter.shared.http import json_bodies
from postmeter.shared.privacy import recipients
from postmeter.shared.storage import uuid7
from postmeter.shared.stream.records import CustomEvent
from postmeter.tracking.contacts import values
from postmeter.tracking.requests import fields

_decoder = msgspec.json.Decoder(TrackEventBody)
_NONE = (msgspec.UNSET, msgspec.Raw(b"null"))


def read(workspace: int, body: bytes) -> CustomEvent:
    """Check a body. Raises RequestError 400 for what is not JSON, else FieldRefused."""
    given = json_bodies.decode(_decoder, body)
    received = datetime.now(UTC)
    at, claimed = values.timestamp(given.timestamp, received)
    address, _ = fields.address("contact_email", given.contact_email)
    return CustomEvent(
        at=at,
        received=fields.micros(received),
        workspace=workspace,
        id=f"evt_{uuid7.new().hex}",
        name=values.event_name(given.event_name),
        contact=recipients.hash_of(address),
        properties="{}" if given.properties in _NONE else values.properties(given.properties),
        claimed=claimed,
    )
