"""`GET /v1/workspace`: what the caller's workspace is called, and its time zone."""

from __future__ import annotations

from aiohttp import web

from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.workspace.workspace import Workspace, WorkspaceAnswer
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.query.documents.native", "workspace.sql")


class WorkspaceShown:
    """Answers GET /v1/workspace."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def handle(self, asked: Asked) -> web.Response:
        """The workspace that the caller belongs to."""
        row = await self._pool.fetchrow(_QUERIES["workspace"], asked.scope.workspace)
        assert row is not None  # whoever asks belongs to one
        domains = None if asked.scope.domains is None else list(asked.scope.domains)
        return json(WorkspaceAnswer(Workspace(row["id"], row["name"], row["timezone"], domains)))
