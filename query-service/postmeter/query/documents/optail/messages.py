"""Optail's messages: the list, newest first, and one message with its history."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from aiohttp import web

from postmeter.query.documents.optail import places, subjects
from postmeter.query.documents.optail.places import Selection
from postmeter.query.requests import parameters
from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.documents.optail import (
    STATUSES,
    ListedMessage,
    Message,
    MessageAnswer,
    MessageEvent,
    MessagesAnswer,
    MessagesParameters,
    Pagination,
)
from postmeter.shared.errors import RequestError
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import EventType, State, Verdict
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.query.documents.optail", "optail.sql")

STATUS_OF = {
    State.QUEUED: "QUEUED",
    State.SENDING: "SENDING",
    State.SENT: "SENT",
    State.SOFT_BOUNCED: "BOUNCED",
    State.DELIVERED: "DELIVERED",
    State.FAILED: "FAILED",
    State.HARD_BOUNCED: "BOUNCED",
    State.COMPLAINED: "DELIVERED",
}
"""What Optail calls the states of messages (semantics.md): a complained message is DELIVERED there."""
STATES_OF = {status: tuple(state for state in State if STATUS_OF[state] == status) for status in STATUSES}
"""The states that each status stands for."""


MAX_LIMIT = 100
MAX_PAGE = 10**9
MAX_EVENTS = 1_000
"""Events of a message's history, the latest ones."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_NOT_SHOWN = [EventType.QUEUED]
"""Left out of a history: the creation stands for it."""

Found = tuple[list[asyncpg.Record], int]
"""(the page's messages, the number of all)"""


class Messages:
    """Answers GET /v1/messages and GET /v1/messages/{id}."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(self, asked: Asked) -> web.Response:
        """One page; `total` and the page are read in one snapshot, so they agree."""
        given = parameters.read(asked.request, MessagesParameters)
        if given.status is not None and given.status not in STATUSES:
            raise parameters.invalid("status", f"must be one of {', '.join(STATUSES)}.")
        page = parameters.whole(given.page, "page")
        if page > MAX_PAGE:
            raise parameters.invalid("page", f"must be at most {MAX_PAGE}.")
        limit = min(parameters.whole(given.limit, "limit"), MAX_LIMIT)
        skip = (page - 1) * limit
        states = STATES_OF[given.status] if given.status is not None else None
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            chosen = Selection(asked.scope.workspace, states, await _series(connection, asked))
            if given.search:
                rows, total = await subjects.search(connection, chosen, given.search, skip, limit)
            else:
                rows, total = await _page(connection, chosen, skip, limit)
        return json(MessagesAnswer([_listed(row) for row in rows], Pagination(page, limit, total, -(-total // limit))))

    async def one(self, asked: Asked) -> web.Response:
        """One message. Another tenant's, and another domain's for a domain_admin, is as one that is not there."""
        text = asked.request.match_info["id"]
        unknown = RequestError(404, "NOT_FOUND", "There is no such message.", "id")
        if not _UUID.fullmatch(text):
            raise unknown
        message = UUID(text)
        workspace = asked.scope.workspace
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(_QUERIES["message"], workspace, message, asked.scope.domains)
            if row is None:
                raise unknown
            events = await connection.fetch(
                _QUERIES["history"], workspace, message, MAX_EVENTS, _NOT_SHOWN, Verdict.MACHINE
            )
        history = [MessageEvent(EventType(event["type"]).name, stamp(event["at"])) for event in reversed(events)]
        return json(
            MessageAnswer(
                Message(
                    id=str(row["id"]),
                    from_address=row["from_address"],
                    subject=row["subject"],
                    status=STATUS_OF[State(row["state"])],
                    tags=row["tags"],
                    events=[MessageEvent(EventType.QUEUED.name, stamp(row["created_at"])), *history],
                )
            )
        )


async def _series(connection: Connection, asked: Asked) -> list[int] | None:
    if asked.scope.domains is None:
        return None
    found: list[int] = await connection.fetchval(_QUERIES["series"], asked.scope.workspace, asked.scope.domains)
    return found


async def _page(connection: Connection, chosen: Selection, skip: int, limit: int) -> Found:
    place = await places.find(connection, chosen, skip, limit)
    if not place.spans:
        return [], place.total
    rows = await connection.fetch(
        _QUERIES["page"],
        chosen.workspace,
        [span.low for span in place.spans],
        [span.high for span in place.spans],
        place.skip,
        limit,
        chosen.states,
        chosen.series,
    )
    return rows, place.total


def _listed(row: Any) -> ListedMessage:
    return ListedMessage(
        id=str(row["id"]),
        provider_account_id=row["provider_account"] or None,
        from_address=row["from_address"],
        to_hash=row["to_hash"],
        subject=row["subject"],
        status=STATUS_OF[State(row["state"])],
        tags=row["tags"],
        provider_message_id=row["provider_message"] or None,
        created_at=stamp(row["created_at"]),
        sent_at=_optional(row["sent_at"]),
        delivered_at=_optional(row["delivered_at"]),
    )


def _optional(instant: datetime | None) -> str | None:
    return None if instant is None else stamp(instant)
