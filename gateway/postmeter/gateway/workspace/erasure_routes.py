"""/v1/recipients/erase: takes erasures, which the aggregator carries out (ADR 0060)."""

from __future__ import annotations

from uuid import UUID

import msgspec
from aiohttp import web

from postmeter.gateway.routes import Handler
from postmeter.shared.apis.privacy import subject_requests as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.recipients import hash_asked_for
from postmeter.shared.storage import uuid7
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.gateway.workspace", "erasures.sql")


class ErasureRoutes:
    """The handlers of api.ENDPOINTS."""

    def __init__(self, reads: Pool, writes: Pool) -> None:
        self._reads = reads
        self._writes = writes

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {("POST", api.ERASE_PATH): self._order, ("GET", api.ERASURE_PATH): self._show}

    async def _order(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        who = _unconfined(caller)
        given = json_bodies.decode(_recipient, body)
        to_hash, job, by = hash_asked_for(given.to, given.to_hash), uuid7.new(), audit.actor_of(who)
        async with self._writes.acquire() as connection, audit.change(connection):
            await connection.execute(_QUERIES["order"], who.workspace, job, to_hash, by)
            await audit.record(connection, who.workspace, by, audit.Action.RECIPIENT_ERASED, str(job))
        told = api.OrderedErasureAnswer(api.OrderedErasure(str(job), api.PROCESSING))
        return json(told, 202)

    async def _show(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        who = _unconfined(caller)
        text = request.raw_path.partition("?")[0].rpartition("/")[2]
        row = None
        if (job := _uuid(text)) is not None:
            row = await self._reads.fetchrow(_QUERIES["find"], who.workspace, job)
        if row is None:
            raise RequestError(404, "NOT_FOUND", "The workspace has no such erasure.")
        at = row["completed_at"]
        status = api.PROCESSING if at is None else api.COMPLETED
        told = api.Erasure(str(job), status, _removed.decode(row["removed"]), None if at is None else stamp(at))
        return json(api.ErasureAnswer(told))


def _unconfined(caller: Principal | None) -> Principal:
    """Raises RequestError 403 for callers who are confined to domains."""
    assert caller is not None
    if caller.confined_to is not None:
        raise RequestError(403, "FORBIDDEN", "A recipient is the workspace's; you are confined to domains.")
    return caller


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


_recipient = msgspec.json.Decoder(api.Recipient)
_removed = msgspec.json.Decoder(dict[str, int])
