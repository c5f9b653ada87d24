"""`GET /v1/campaigns`: the caller's campaigns by id, page by page."""

from __future__ import annotations

from aiohttp import web

from postmeter.query.documents import campaigns
from postmeter.query.requests import parameters
from postmeter.query.requests.cursor import Cursors, Position
from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.workspace.campaigns import Campaign, CampaignsAnswer, CampaignsParameters
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.text.stamps import stamp

MAX_LIMIT = 1000
_IDENTITY = b"campaigns"
"""What a cursor is bound to, beside the caller's scope: nothing else decides which campaigns there are."""


class CampaignList:
    """Answers GET /v1/campaigns."""

    def __init__(self, pool: Pool, cursors: Cursors) -> None:
        self._pool = pool
        self._cursors = cursors

    async def handle(self, asked: Asked) -> web.Response:
        """One page, and the next page's cursor or null. Raises RequestError 400 that names the parameter."""
        given = parameters.read(asked.request, CampaignsParameters)
        limit = parameters.limit(given.limit, MAX_LIMIT)
        after = None
        if given.cursor is not None:
            after = str(self._cursors.read(given.cursor, asked.scope, _IDENTITY).last[0])
        found = await campaigns.page(self._pool, asked.scope, after, limit + 1)
        page = found[:limit]
        cursor = None
        if len(found) > limit:
            cursor = self._cursors.write(Position(0, 0, [page[-1].id]), asked.scope, _IDENTITY)
        return json(CampaignsAnswer([_shown(campaign) for campaign in page], cursor))


def _shown(campaign: campaigns.Campaign) -> Campaign:
    return Campaign(
        id=campaign.id,
        name=campaign.name,
        status=campaign.status,
        sent_at=None if campaign.sent_at is None else stamp(campaign.sent_at),
        created_at=stamp(campaign.created_at),
    )
