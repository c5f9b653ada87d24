"""`GET /v1/audit`: who changed what of the workspace, the latest first, page by page."""

from __future__ import annotations

import msgspec
from aiohttp import web

from postmeter.query.requests import parameters
from postmeter.query.requests.cursor import Cursors, Position
from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.privacy.audit import AuditAnswer, AuditParameters, Entry
from postmeter.shared.errors import RequestError
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.query.documents.native", "audit_log.sql")
MAX_LIMIT = 1000
_IDENTITY = b"audit"
"""What a cursor is bound to, beside the caller's scope."""


class AuditLog:
    """Answers GET /v1/audit."""

    def __init__(self, pool: Pool, cursors: Cursors) -> None:
        self._pool = pool
        self._cursors = cursors

    async def handle(self, asked: Asked) -> web.Response:
        """One page, and the next page's cursor or null. Raises RequestError 400 that names the parameter."""
        if asked.scope.domains is not None:
            raise RequestError(403, "FORBIDDEN", "The audit log is the workspace's; you are confined to domains.")
        given = parameters.read(asked.request, AuditParameters)
        limit = parameters.limit(given.limit, MAX_LIMIT)
        before = None
        if given.cursor is not None:
            before = int(self._cursors.read(given.cursor, asked.scope, _IDENTITY).last[0])
        rows = await self._pool.fetch(_QUERIES["entries"], asked.scope.workspace, before, limit + 1)
        page = [
            Entry(stamp(row["at"]), row["actor"], row["action"], row["target"], msgspec.json.decode(row["details"]))
            for row in rows[:limit]
        ]
        cursor = None
        if len(rows) > limit:
            cursor = self._cursors.write(Position(0, 0, [rows[limit - 1]["id"]]), asked.scope, _IDENTITY)
        return json(AuditAnswer(page, cursor))
