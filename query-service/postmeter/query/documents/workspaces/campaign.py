"""Workspaces: one campaign's summary, rates and series."""

from __future__ import annotations

from postmeter.query.documents.window import Window
from postmeter.query.documents.workspaces import formulas, lookups
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Resolution, Row, Scope
from postmeter.shared.apis.documents import workspaces as api
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.text.stamps import stamp


class CampaignReport:
    """What became of a campaign's messages, by the time at which it happened."""

    def __init__(self, engine: Engine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool

    async def read(
        self, scope: Scope, campaign_id: str, window: Window, resolution: Resolution
    ) -> api.CampaignAnalytics:
        """The campaign in the window, with a point for each day, week or month (UTC) that the window touches.

        The summary is the sum of the series. Raises RequestError 404 CAMPAIGN_NOT_FOUND.
        """
        campaign = await lookups.campaign(self._pool, scope, campaign_id)
        rows = await self._engine.rows(
            Query(
                scope=scope,
                metrics=formulas.METRICS,
                start=window.start,
                end=window.end_exclusive,
                filters={"campaign": (campaign_id,)},
                resolution=resolution,
            )
        )
        counts = formulas.total([row.values for row in rows])
        return api.CampaignAnalytics(
            campaign_id=campaign_id,
            campaign_name=campaign.name,
            time_range=time_range(window),
            summary=_summary(counts),
            rates=api.CampaignRates(**{name: formulas.rate(name, counts) for name in formulas.RATES}),
            time_series=[_point(row) for row in rows],
        )


def time_range(window: Window) -> api.TimeRange:
    """A window as Workspaces prints it."""
    return api.TimeRange(stamp(window.start), stamp(window.end), window.period)


def _summary(counts: formulas.Counts) -> api.CampaignSummary:
    return api.CampaignSummary(
        emails_sent=counts["sent"],
        emails_delivered=counts["delivered"],
        emails_bounced=counts["bounced"],
        emails_opened=counts["unique_opens"],
        emails_clicked=counts["unique_clicks"],
        emails_replied=counts["unique_replies"],
        spam_complaints=counts["complained"],
        unsubscribes=counts["unique_unsubscribed"],
    )


def _point(row: Row) -> api.CampaignPoint:
    counts = dict(zip(formulas.METRICS, row.values, strict=True))
    return api.CampaignPoint(
        date=row.start.date().isoformat(),
        sent=counts["sent"],
        delivered=counts["delivered"],
        opened=counts["unique_opens"],
        clicked=counts["unique_clicks"],
        replied=counts["unique_replies"],
        bounced=counts["bounced"],
        spam_complaints=counts["complained"],
    )
