"""`GET /v1/domains`: the caller's sending domains by name, page by page."""

from __future__ import annotations

from operator import itemgetter

from aiohttp import web

from postmeter.query.requests import parameters
from postmeter.query.requests.cursor import Cursors
from postmeter.query.requests.handler import Asked
from postmeter.query.requests.pages import Pages
from postmeter.shared.apis.workspace.domains import Domain, DomainsAnswer, DomainsParameters
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.query.documents.native", "domain_list.sql")


class DomainList:
    """Answers GET /v1/domains."""

    def __init__(self, pool: Pool, cursors: Cursors) -> None:
        self._pool = pool
        self._pages = Pages(cursors, b"domains")

    async def handle(self, asked: Asked) -> web.Response:
        """One page, and the next page's cursor or null. Raises RequestError 400 that names the parameter."""
        scope = asked.scope
        rows, cursor = await self._pages.page(
            asked,
            parameters.read(asked.request, DomainsParameters),
            lambda after, most: self._pool.fetch(_QUERIES["domains"], scope.workspace, after, scope.domains, most),
            itemgetter("name"),
        )
        return json(
            DomainsAnswer([Domain(str(row["id"]), row["name"], stamp(row["created_at"])) for row in rows], cursor)
        )
