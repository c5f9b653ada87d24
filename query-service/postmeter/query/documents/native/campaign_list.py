"""`GET /v1/campaigns`: the caller's campaigns by id, page by page."""

from __future__ import annotations

from operator import attrgetter

from aiohttp import web

from postmeter.query.documents import campaigns
from postmeter.query.requests import parameters
from postmeter.query.requests.cursor import Cursors
from postmeter.query.requests.handler import Asked
from postmeter.query.requests.pages import Pages
from postmeter.shared.apis.workspace.campaigns import Campaign, CampaignsAnswer, CampaignsParameters
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.text.stamps import stamp


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
