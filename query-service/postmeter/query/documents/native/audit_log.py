"""`GET /v1/audit`: who changed what of the workspace, the latest first, page by page."""

from __future__ import annotations

from operator import itemgetter

import asyncpg
import msgspec
from aiohttp import web

from postmeter.query.requests import parameters
from postmeter.query.requests.cursor import Cursors
from postmeter.query.requests.handler import Asked
from postmeter.query.requests.pages import Pages
from postmeter.shared.apis.privacy.audit import AuditAnswer, AuditParameters, Entry
from postmeter.shared.errors import RequestError
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.query.documents.native", "audit_log.sql")


class AuditLog:
    """Answers GET /v1/audit."""

    def __init__(self, pool: Pool, cursors: Cursors) -> None:
        self._pool = pool
        self._pages = Pages(cursors, b"audit")

    async def handle(self, asked: Asked) -> web.Response:
        """One page, and the next page's cursor or null. Raises RequestError 400 that names the parameter."""
        if asked.scope.domains is not None:
            raise RequestError(403, "FORBIDDEN", "The audit log is the workspace's; you are confined to domains.")
        rows, cursor = await self._pages.page(
            asked,
            parameters.read(asked.request, AuditParameters),
            lambda before, most: self._pool.fetch(_QUERIES["entries"], asked.scope.workspace, before, most),
            itemgetter("id"),
        )
        return json(AuditAnswer([_entry(row) for row in rows], cursor))


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(stamp(row["at"]), row["actor"], row["action"], row["target"], msgspec.json.decode(row["details"]))
