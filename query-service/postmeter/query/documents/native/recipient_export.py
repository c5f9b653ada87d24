"""`POST /v1/recipients/export`: everything that is kept about a recipient, who may ask for it (GDPR, article 15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
from aiohttp import web

from postmeter.query.documents.native.message_events import event_of, message_of
from postmeter.query.documents.native.recipient_consent import consent_of
from postmeter.query.documents.native.recipient_pages import LISTS, Beginning
from postmeter.query.requests import fitting
from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.mail.message_events import HistoryEvent
from postmeter.shared.apis.privacy import subject_requests as api
from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.recipients import hash_asked_for
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import records
from postmeter.shared.stream.events import Engagement, EventType
from postmeter.shared.stream.records import Event
from postmeter.shared.text.stamps import stamp

QUERIES = Queries("postmeter.query.documents.native", "recipient_export.sql")
FIRST = {
    Engagement.OPEN: "opened",
    Engagement.CLICK: "clicked",
    Engagement.REPLY: "replied",
    Engagement.UNSUBSCRIBE: "unsubscribed",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_decoder = msgspec.json.Decoder(api.ExportBody)


class RecipientExport:
    """Answers POST /v1/recipients/export."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def handle(self, asked: Asked) -> web.Response:
        """What is kept, as of one moment; that it was asked for is in the audit log before it is answered."""
        if asked.scope.domains is not None:
            raise RequestError(403, "FORBIDDEN", "A recipient is the workspace's; you are confined to domains.")
        given = json_bodies.decode(_decoder, await asked.read())
        to_hash = hash_asked_for(given.to, given.to_hash)
        begin = _beginnings(given)
        workspace = asked.scope.workspace
        async with self._pool.acquire() as connection:
            async with audit.change(connection):
                await connection.execute("SET TRANSACTION READ WRITE")
                by = audit.actor_of(asked.principal)
                await audit.record(connection, workspace, by, audit.Action.RECIPIENT_EXPORTED, "")
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                found = await _kept(connection, workspace, to_hash, begin)
        return json(api.RecipientDataAnswer(found))


def _beginnings(given: api.ExportBody) -> dict[str, Beginning]:
    """Where each list begins, by its name."""
    begin = {}
    for name, pages in LISTS.items():
        text = getattr(given, pages.field)
        begin[name] = pages.beginning(text) if isinstance(text, str) else Beginning()
    return begin


async def _kept(
    connection: Connection, workspace: int, to_hash: str, begin: Mapping[str, Beginning]
) -> api.RecipientData:
    async def page(name: str, most: int) -> list[asyncpg.Record]:
        at, most_of_all = begin[name], most + api.MOST_OF_A_SECOND
        found, _ = await fitting.rows(connection, QUERIES[name], workspace, to_hash, most, at.at, most_of_all, at.id)
        return found

    rows = await page("messages", api.MOST_MESSAGES)
    told, beyond = await fitting.rows(
        connection, QUERIES["events"], workspace, [row["id"] for row in rows], api.MOST_EVENTS
    )
    if beyond is not None:  # the message of which not all events fit, and those behind it, are the next page's
        rows = rows[: max(1, [row["id"] for row in rows].index(beyond["message"]))]
    ids = [row["id"] for row in rows]
    events: dict[UUID, list[HistoryEvent]] = {message: [] for message in ids}
    for row in told:
        if row["message"] in events:
            events[row["message"]].append(event_of(row))
    first: dict[UUID, dict[str, str]] = {message: {} for message in ids}
    for row in await connection.fetch(QUERIES["engagements"], workspace, ids):
        first[row["message"]][FIRST[Engagement(row["kind"])]] = stamp(row["at"])
    lists = {name: rows if name == "messages" else await page(name, api.MOST_ROWS) for name in LISTS}
    day = await connection.fetchval(QUERIES["last_open"], workspace, to_hash)
    befores = [at.at for at in begin.values()], [at.id for at in begin.values()]
    counts = await connection.fetchrow(QUERIES["counts"], workspace, to_hash, *befores[0], *befores[1], ids)
    assert counts is not None
    shown = {"events": sum(map(len, events.values()))} | {name: len(found) for name, found in lists.items()}
    more = [name for name, found in lists.items() if counts[name] > len(found)]
    return api.RecipientData(
        to_hash=to_hash,
        messages=[_message(row, events[row["id"]], first[row["id"]]) for row in rows],
        consent=await consent_of(connection, workspace, to_hash, lists["consent"]),
        last_open=None if day is None else day.isoformat(),
        purchases=[_purchase(row) for row in lists["purchases"]],
        custom_events=[_custom_event(row) for row in lists["custom_events"]],
        waiting=_waiting(lists["waiting"]),
        put_aside=[api.PutAsideRecord(stamp(row["at"]), row["reason"]) for row in lists["put_aside"]],
        left_out={name: counts[name] - n for name, n in shown.items() if counts[name] > n},
        next={LISTS[name].field: LISTS[name].end(lists[name][-1]) for name in more},
    )


def _message(row: asyncpg.Record, events: list[HistoryEvent], first: Mapping[str, str]) -> api.KeptMessage:
    known = msgspec.structs.asdict(message_of(row, events))
    return api.KeptMessage(**known, to_domain=row["to_domain"], first=api.FirstEngagements(**first))


def _purchase(row: asyncpg.Record) -> api.KeptPurchase:
    return api.KeptPurchase(
        id=row["id"],
        order_id=row["order_id"] or None,
        amount=row["amount"],
        currency=row["currency"],
        items=msgspec.Raw(row["items"].encode()),
        at=stamp(row["at"]),
        campaign=row["campaign"],
    )


def _custom_event(row: asyncpg.Record) -> api.KeptCustomEvent:
    properties = msgspec.Raw(row["properties"].encode())
    return api.KeptCustomEvent(row["id"], row["name"], properties, stamp(row["at"]))


def _waiting(rows: Sequence[asyncpg.Record]) -> list[api.WaitingEvent]:
    found = []
    for row in rows:
        good, _ = records.decode_each(records.join([row["record"]]))
        found += [
            api.WaitingEvent(
                since=stamp(row["since"]),
                type=EventType(event.type).name.lower(),
                at=stamp(_EPOCH + timedelta(microseconds=event.at)),
                provider=event.provider or None,
                reason=event.reason or None,
            )
            for event in good
            if isinstance(event, Event)
        ]
    return found
