"""Workspaces over HTTP: parameters in, its reports out, in its envelope."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from postmeter.query.documents import window
from postmeter.query.documents.workspaces import lookups
from postmeter.query.documents.workspaces.campaign import CampaignReport
from postmeter.query.documents.workspaces.comparison import ComparisonReport
from postmeter.query.documents.workspaces.deliverability import DeliverabilityReport
from postmeter.query.documents.workspaces.heatmap import HeatmapReport
from postmeter.query.documents.workspaces.overview import OverviewReport
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Resolution
from postmeter.query.requests import parameters
from postmeter.query.requests.handler import Asked, Clock, Handler
from postmeter.shared.apis.documents import workspaces as api
from postmeter.shared.apis.documents.comparison import DEFAULT_RATES
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool

GROUPS = {"day": Resolution.DAY, "week": Resolution.WEEK, "month": Resolution.MONTH}
_HEATMAP_PERIODS = ("30d", "90d")


def handlers(engine: Engine, pool: Pool, clock: Clock) -> dict[str, Handler]:
    """Who answers which path of Workspaces."""
    answers = Analytics(engine, pool, clock)
    return {
        api.BASE + "/campaigns/{campaignId}/analytics": answers.campaign,
        api.BASE + "/analytics/overview": answers.overview,
        api.BASE + "/analytics/deliverability": answers.deliverability,
        api.BASE + "/analytics/engagement-heatmap": answers.heatmap,
        api.BASE + "/analytics/compare": answers.compare,
    }


_compare = msgspec.json.Decoder(api.CompareBody)


class Analytics:
    """Answers Workspaces' reads. A path with another workspace than the key's is 404 WORKSPACE_NOT_FOUND."""

    def __init__(self, engine: Engine, pool: Pool, clock: Clock) -> None:
        self._clock = clock
        self._campaign = CampaignReport(engine, pool)
        self._overview = OverviewReport(engine, pool)
        self._deliverability = DeliverabilityReport(engine, pool)
        self._heatmap = HeatmapReport(engine, pool)
        self._compare = ComparisonReport(engine, pool)

    async def campaign(self, asked: Asked) -> web.Response:
        """GET .../campaigns/{campaignId}/analytics."""
        lookups.workspace(asked)
        given = parameters.read(asked.request, api.CampaignParameters)
        if given.group_by not in GROUPS:
            raise parameters.invalid("groupBy", f"takes {', '.join(GROUPS)}.")
        campaign_id = asked.request.match_info["campaignId"]
        return _answer(await self._campaign.read(asked.scope, campaign_id, self._window(given), GROUPS[given.group_by]))

    async def overview(self, asked: Asked) -> web.Response:
        """GET .../analytics/overview."""
        workspace_id = lookups.workspace(asked)
        given = parameters.read(asked.request, api.OverviewParameters)
        return _answer(await self._overview.read(asked.scope, workspace_id, self._window(given)))

    async def deliverability(self, asked: Asked) -> web.Response:
        """GET .../analytics/deliverability."""
        workspace_id = lookups.workspace(asked)
        given = parameters.read(asked.request, api.DeliverabilityParameters)
        days = window.preset(given.time_range, self._clock())
        return _answer(
            await self._deliverability.read(asked.scope, workspace_id, days, given.campaign_id, given.domain_id)
        )

    async def heatmap(self, asked: Asked) -> web.Response:
        """GET .../analytics/engagement-heatmap."""
        workspace_id = lookups.workspace(asked)
        given = parameters.read(asked.request, api.HeatmapParameters)
        days = window.preset(given.time_range, self._clock(), _HEATMAP_PERIODS)
        return _answer(await self._heatmap.read(asked.scope, workspace_id, days, given.timezone, given.campaign_id))

    async def compare(self, asked: Asked) -> web.Response:
        """POST .../analytics/compare."""
        lookups.workspace(asked)
        body = json_bodies.decode(_compare, await asked.read())
        days = window.read(body.time_range, body.start_date, body.end_date, self._clock(), window.BODY)
        metrics = list(DEFAULT_RATES) if body.metrics is None else body.metrics
        return _answer(await self._compare.read(asked.scope, body.campaign_ids, metrics, days))

    def _window(self, given: api.OverviewParameters) -> window.Window:
        return window.read(given.time_range, given.start_date, given.end_date, self._clock())


def _answer(data: Any) -> web.Response:
    return json({"success": True, "data": data})
