"""Workspaces: all campaigns of a workspace."""

from __future__ import annotations

from postmeter.query import rates
from postmeter.query.documents import campaigns
from postmeter.query.documents.window import Window
from postmeter.query.documents.workspaces import formulas, lookups
from postmeter.query.documents.workspaces.campaign import time_range
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Scope
from postmeter.shared.apis.documents import workspaces as api
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.rollups import OTHER

TOP = 5
_NO_CAMPAIGN = ["", OTHER]
_RANKED = ("sent", "delivered", "unique_opens", "unique_replies")


class OverviewReport:
    """What became of a workspace's messages, also of those without a campaign, and its best campaigns."""

    def __init__(self, engine: Engine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool

    async def read(self, scope: Scope, workspace_id: str, window: Window) -> api.Overview:
        """The workspace in the window; for a domain_admin its domains."""
        query = Query(scope=scope, metrics=formulas.METRICS, start=window.start, end=window.end_exclusive)
        counts = formulas.total([row.values for row in await self._engine.rows(query)])
        known: int = await self._pool.fetchval(lookups.QUERIES["count_campaigns"], scope.workspace, scope.domains)
        active, top = await self._best(scope, window)
        return api.Overview(
            workspace_id=workspace_id,
            time_range=time_range(window),
            summary=api.OverviewSummary(
                total_campaigns=known,
                active_campaigns=active,
                emails_sent=counts["sent"],
                emails_delivered=counts["delivered"],
                emails_opened=counts["unique_opens"],
                emails_clicked=counts["unique_clicks"],
                emails_replied=counts["unique_replies"],
            ),
            rates=api.OverviewRates(
                **{name: formulas.rate(name, counts) for name in api.OverviewRates.__struct_fields__}
            ),
            top_campaigns=top,
        )

    async def _best(self, scope: Scope, window: Window) -> tuple[int, list[api.TopCampaign]]:
        """How many campaigns sent in the window, and the best of them. Ordered in SQL, however many there are."""
        query = Query(
            scope=scope, metrics=_RANKED, start=window.start, end=window.end_exclusive, dimensions=("campaign",)
        )
        found = await self._engine.groups(query)
        if found is None:
            return 0, []
        groups, parameters = found
        sql = lookups.QUERIES["best_campaigns"].format(
            groups=groups, no_campaign=f"${len(parameters) + 1}", limit=f"${len(parameters) + 2}"
        )
        rows = await self._pool.fetch(sql, *parameters, _NO_CAMPAIGN, TOP)
        names = await campaigns.names(self._pool, scope, [row["campaign"] for row in rows])
        top = [
            api.TopCampaign(
                campaign_id=row["campaign"],
                campaign_name=names[row["campaign"]],
                open_rate=rates.percent(int(row["unique_opens"]), int(row["delivered"])),
                reply_rate=rates.percent(int(row["unique_replies"]), int(row["delivered"])),
            )
            for row in rows
        ]
        return (rows[0]["active"] if rows else 0), top
