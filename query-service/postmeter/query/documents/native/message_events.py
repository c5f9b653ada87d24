"""`GET /v1/messages/{id}/events`: one message, and all that happened to it, machines' hits with their reasons too."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from aiohttp import web

from postmeter.query.documents.native.message_search import STATUS
from postmeter.query.requests import fitting
from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.mail.message_events import HistoryEvent, MessageEventsAnswer, MessageHistory
from postmeter.shared.errors import RequestError
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import BounceType, EventType, State, Verdict
from postmeter.shared.text.stamps import stamp

QUERIES = Queries("postmeter.query.documents.native", "message_events.sql")
MAX_EVENTS = 1_000
"""Of the latest, fewer where their texts are long (fitting.py). A message seldom has more than ten, but anybody may go
on fetching its pixel for ever.
"""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class MessageEvents:
    """Answers GET /v1/messages/{id}/events."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def handle(self, asked: Asked) -> web.Response:
        """The message. Another tenant's, and another domain's for a domain_admin, is as one that is not there."""
        text = asked.request.match_info["id"]
        unknown = RequestError(404, "NOT_FOUND", "There is no such message.", "id")
        if not _UUID.fullmatch(text):
            raise unknown
        workspace, message = asked.scope.workspace, UUID(text)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(QUERIES["message"], workspace, message, asked.scope.domains)
            if row is None:
                raise unknown
            events, _ = await fitting.rows(connection, QUERIES["events"], workspace, message, MAX_EVENTS)
        return json(MessageEventsAnswer(message_of(row, [event_of(event) for event in reversed(events)])))


def message_of(row: Any, events: list[HistoryEvent]) -> MessageHistory:
    """A message's row with its events, the earliest first."""
    return MessageHistory(
        id=str(row["id"]),
        campaign=row["campaign"] or None,
        from_address=row["from_address"],
        recipient_ref=row["recipient_ref"] or None,
        to_hash=row["to_hash"],
        subject=row["subject"],
        status=STATUS[State(row["state"])],
        provider=row["provider"] or None,
        provider_message_id=row["provider_message"] or None,
        template=row["template"] or None,
        mailbox_provider=row["mailbox_provider"] or None,
        tags=row["tags"],
        created_at=stamp(row["created_at"]),
        sent_at=_optional(row["sent_at"]),
        delivered_at=_optional(row["delivered_at"]),
        events=events,
    )


def event_of(row: Any) -> HistoryEvent:
    """A row of the history."""
    return HistoryEvent(
        type=EventType(row["type"]).name.lower(),
        at=stamp(row["at"]),
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]).name.lower(),
        verdict_reason=row["verdict_reason"] or None,
        bounce_type=None if not row["bounce"] else BounceType(row["bounce"]).name.lower(),
        reason=row["reason"] or None,
        url=row["url"] or None,
        user_agent=row["user_agent"] or None,
        network=_network(row["ip"]),
        counted=row["counted"],
        claimed_at=_optional(row["claimed_at"]),
    )


def _network(address: str | None) -> str | None:
    """What is kept of a client's address, whose last bits are none: with how many of the first it has."""
    if not address:
        return None
    return f"{address}/48" if ":" in address else f"{address}/24"


def _optional(instant: datetime | None) -> str | None:
    return None if instant is None else stamp(instant)
