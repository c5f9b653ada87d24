"""What a workspace is and has, for its callers: its name, its sending domains, its campaigns, its audit log.

Lists come page by page.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter, itemgetter

import asyncpg
import msgspec
from aiohttp import web

from postmeter.query.documents import campaigns
from postmeter.query.requests import fitting, parameters
from postmeter.query.requests.cursor import Cursors
from postmeter.query.requests.handler import Asked
from postmeter.query.requests.pages import Pages
from postmeter.shared.apis.privacy.audit import AuditAnswer, AuditParameters, Entry
from postmeter.shared.apis.workspace.campaigns import Campaign, CampaignsAnswer, CampaignsParameters
from postmeter.shared.apis.workspace.workspace import (
    Domain,
    DomainsAnswer,
    DomainsParameters,
    Workspace,
    WorkspaceAnswer,
)
from postmeter.shared.errors import RequestError
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.stamps import stamp

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


class CampaignList:
    """Answers GET /v1/campaigns."""

    def __init__(self, pool: Pool, cursors: Cursors) -> None:
        self._pool = pool
        self._pages = Pages(cursors, b"campaigns")

    async def handle(self, asked: Asked) -> web.Response:
        """One page, and the next page's cursor or null. Raises RequestError 400 that names the parameter."""
        found, cursor = await self._pages.page(
            asked,
            parameters.read(asked.request, CampaignsParameters),
            lambda after, most: campaigns.page(self._pool, asked.scope, after, most),
            attrgetter("id"),
        )
        return json(CampaignsAnswer([_shown(campaign) for campaign in found], cursor))


def _shown(campaign: campaigns.Campaign) -> Campaign:
    return Campaign(
        id=campaign.id,
        name=campaign.name,
        status=campaign.status,
        sent_at=None if campaign.sent_at is None else stamp(campaign.sent_at),
        created_at=stamp(campaign.created_at),
    )


class AuditLog:
    """Answers GET /v1/audit."""

    def __init__(self, pool: Pool, cursors: Cursors) -> None:
        self._pool = pool
        self._pages = Pages(cursors, b"audit")

    async def handle(self, asked: Asked) -> web.Response:
        """One page, and the next page's cursor or null. Raises RequestError 400 that names the parameter."""
        if asked.scope.domains is not None:
            raise RequestError(403, "FORBIDDEN", "The audit log is the workspace's; you are confined to domains.")

        async def entries(before: int | str | None, limit: int) -> tuple[Sequence[asyncpg.Record], bool]:
            async with self._pool.acquire() as connection, connection.transaction(readonly=True):
                wanted = asked.scope.workspace, before, limit + 1
                found, beyond = await fitting.rows(connection, _QUERIES["entries"], *wanted)
            return found[:limit], beyond is not None or len(found) > limit

        given = parameters.read(asked.request, AuditParameters)
        rows, cursor = await self._pages.part(asked, given, entries, itemgetter("id"))
        return json(AuditAnswer([_entry(row) for row in rows], cursor))


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(stamp(row["at"]), row["actor"], row["action"], row["target"], msgspec.json.decode(row["details"]))
