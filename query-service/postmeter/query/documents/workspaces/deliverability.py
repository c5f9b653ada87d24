"""Workspaces: bounces, health score, reputation and blocklists."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from postmeter.query import rates
from postmeter.query.documents.window import Window
from postmeter.query.documents.workspaces import health, lookups
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Resolution, Scope
from postmeter.shared.apis.documents import deliverability as api
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.text.stamps import stamp

TOP_REASONS = 5
MOST_IPS = 100
_METRICS = (*health.METRICS, "soft_bounced")


class DeliverabilityReport:
    """How a workspace's mail is received. Windows are whole UTC days."""

    def __init__(self, engine: Engine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool

    async def read(
        self,
        scope: Scope,
        workspace_id: str,
        window: Window,
        campaign_id: str | None = None,
        domain_id: str | None = None,
    ) -> api.Deliverability:
        """The workspace in the window, or its campaign and sending domain (a UUID).

        Raises RequestError 404 CAMPAIGN_NOT_FOUND or DOMAIN_NOT_FOUND, 403 FORBIDDEN for a domain_admin's foreign
        domain.
        """
        window = window.whole_days()
        filters: dict[str, tuple[str, ...]] = {}
        if campaign_id is not None:
            filters["campaign"] = ((await lookups.campaign(self._pool, scope, campaign_id)).id,)
        if domain_id is not None:
            filters["domain"] = (await lookups.domain(self._pool, scope, domain_id),)
        days = await self._days(scope, window, filters)
        known = [health.Day(*day[:-1]) for day in days]
        scores = health.trend(known)
        inside = days[health.DAYS_BEFORE :]
        counts = {metric: sum(day[place] for day in inside) for place, metric in enumerate(_METRICS)}
        sent, complained = counts["sent"], counts["complained"]
        bounced = counts["hard_bounced"] + counts["soft_bounced"]
        return api.Deliverability(
            workspace_id=workspace_id,
            time_range=api.Window(stamp(window.start), stamp(window.end)),
            overall=api.OverallDeliverability(
                estimated_inbox_placement_rate=rates.percent(sent - bounced - complained, sent),
                spam_rate=rates.percent(complained, sent),
                bounce_rate=rates.percent(bounced, sent),
                health_score=scores[-1],
            ),
            bounce_analysis=api.BounceAnalysis(
                hard_bounces=counts["hard_bounced"],
                soft_bounces=counts["soft_bounced"],
                hard_bounce_rate=rates.percent(counts["hard_bounced"], sent),
                soft_bounce_rate=rates.percent(counts["soft_bounced"], sent),
                top_bounce_reasons=await self._reasons(scope, window, filters, bounced),
            ),
            reputation_trend=[
                api.ReputationPoint((window.start + timedelta(days=number)).date().isoformat(), score)
                for number, score in enumerate(scores)
            ],
            blacklist_status=await self._blacklists(scope),
            health_parts=[_health_part(part) for part in health.last_parts(known)],
            sending_ips=await self._sending_ips(scope),
        )

    async def _days(self, scope: Scope, window: Window, filters: dict[str, tuple[str, ...]]) -> list[tuple[int, ...]]:
        """_METRICS of each day, from DAYS_BEFORE the window on."""
        query = Query(
            scope=scope,
            metrics=_METRICS,
            start=window.start - timedelta(days=health.DAYS_BEFORE),
            end=window.end_exclusive,
            filters=filters,
            resolution=Resolution.DAY,
        )
        return [row.values for row in await self._engine.rows(query)]

    async def _reasons(
        self, scope: Scope, window: Window, filters: dict[str, tuple[str, ...]], bounced: int
    ) -> list[api.BounceReason]:
        """The most frequent reasons. Bounces without one are in no reason's count, but in all percentages."""
        campaign = filters["campaign"][0] if "campaign" in filters else None
        domains = filters.get("domain", scope.domains)
        series = "total_series" if campaign is None and domains is None else "some_series"
        sql = lookups.QUERIES["bounce_reasons"].format(series=lookups.QUERIES[series])
        rows = await self._pool.fetch(
            sql, scope.workspace, window.start, window.end_exclusive, TOP_REASONS, campaign, domains
        )
        return [
            api.BounceReason(row["reason"], row["bounced"], rates.percent(row["bounced"], bounced, 1)) for row in rows
        ]

    async def _blacklists(self, scope: Scope) -> api.BlacklistStatus:
        row = await self._pool.fetchrow(lookups.QUERIES["blacklist_status"], scope.workspace)
        assert row is not None
        checked = row["last_check"]
        return api.BlacklistStatus(row["any_listed"], row["ips_checked"], stamp(checked) if checked else None)

    async def _sending_ips(self, scope: Scope) -> list[api.SendingIp]:
        """The workspace's IPs, the listed ones first; none for callers who may see only some domains."""
        if scope.domains is not None:
            return []
        rows = await self._pool.fetch(lookups.QUERIES["sending_ips"], scope.workspace, MOST_IPS)
        return [
            api.SendingIp(str(row["ip"]), stamp(row["checked_at"]) if row["checked_at"] else None, row["listed_in"])
            for row in rows
        ]


def _health_part(part: health.Part) -> api.HealthPart:
    return api.HealthPart(
        part=part.name,
        count=part.count,
        of=part.of,
        rate=_percent(part.rate),
        none_at=_percent(part.none_at),
        full_at=_percent(part.full_at),
        weight=part.weight,
        points=_percent(part.points / 100),
    )


def _percent(value: Fraction) -> Decimal:
    return rates.percent(value.numerator, value.denominator)
