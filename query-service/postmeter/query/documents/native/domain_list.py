"""`GET /v1/domains`: the caller's sending domains by name, page by page."""

from __future__ import annotations

from aiohttp import web

from postmeter.query.requests import parameters
from postmeter.query.requests.cursor import Cursors, Position
from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.workspace.domains import Domain, DomainsAnswer, DomainsParameters
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.query.documents.native", "domain_list.sql")
MAX_LIMIT = 1000
_IDENTITY = b"domains"
"""What a cursor is bound to, beside the caller's scope: nothing else decides which domains there are."""


class DomainList:
    """Answers GET /v1/domains."""

    def __init__(self, pool: Pool, cursors: Cursors) -> None:
        self._pool = pool
        self._cursors = cursors

    async def handle(self, asked: Asked) -> web.Response:
        """One page, and the next page's cursor or null. Raises RequestError 400 that names the parameter."""
        given = parameters.read(asked.request, DomainsParameters)
        limit = parameters.limit(given.limit, MAX_LIMIT)
        after = None
        if given.cursor is not None:
            after = str(self._cursors.read(given.cursor, asked.scope, _IDENTITY).last[0])
        scope = asked.scope
        rows = await self._pool.fetch(_QUERIES["domains"], scope.workspace, after, scope.domains, limit + 1)
        page = [Domain(str(row["id"]), row["name"], stamp(row["created_at"])) for row in rows[:limit]]
        cursor = None
        if len(rows) > limit:
            cursor = self._cursors.write(Position(0, 0, [page[-1].name]), scope, _IDENTITY)
        return json(DomainsAnswer(page, cursor))
