"""What the tests of Workspaces and Misar share: a query-service, and campaigns, cohorts, reasons and IPs."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from postmeter.shared.storage import rollups
from postmeter.shared.storage.rollups import Rollup, Tier
from tests.integration import query_api
from tests.integration.counted_facts import raised, rows_of, stored
from tests.integration.query_api import Answer
from tests.integration.running_query import Fact

WORKSPACE = "ws_xyz789"


@dataclass(frozen=True)
class Cohort:
    """Counters of a cohort that rose at one moment in one series."""

    at: datetime
    campaign: str = ""
    domain: str = "example.com"
    counters: dict[str, int] = field(default_factory=dict)


class Api(query_api.Api):
    """A workspace, its reports, and what they are of."""

    async def read(self, name: str, **parameters: str) -> Any:
        """The data of a Workspaces report: `overview`, `deliverability`, `engagement-heatmap`."""
        status, answer = await self.get(f"/api/v1/workspaces/{WORKSPACE}/analytics/{name}", **parameters)
        assert (status, answer["success"]) == (200, True), answer
        return answer["data"]

    async def read_campaign(self, campaign: str, **parameters: str) -> Any:
        """The data of Workspaces' report on a campaign."""
        path = f"/api/v1/workspaces/{WORKSPACE}/campaigns/{campaign}/analytics"
        status, answer = await self.get(path, **parameters)
        assert (status, answer["success"]) == (200, True), answer
        return answer["data"]

    async def compare(self, *campaigns: str, **body: Any) -> Answer:
        path = f"/api/v1/workspaces/{WORKSPACE}/analytics/compare"
        return await self.post(path, {"campaign_ids": campaigns, **body})

    async def campaign(self, campaign_id: str, name: str = "", **columns: Any) -> None:
        """Register a campaign."""
        columns = {"workspace": self.workspace, "id": campaign_id, "name": name, **columns}
        places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
        await self.here.pool.execute(
            f"INSERT INTO campaign ({', '.join(columns)}) VALUES ({places})", *columns.values()
        )

    async def add(self, *facts: Fact) -> None:
        await self.here.add(self.workspace, *facts)

    async def add_cohorts(self, rollup: Rollup, *facts: Cohort) -> None:
        """Every fact into every tier, for its series and the sum of all."""
        for tier in rollup.tiers:
            cells: dict[tuple[int, datetime], Counter[str]] = {}
            for fact in facts:
                for number in rows_of(tier, await self._series(fact.campaign, fact.domain)):
                    cells.setdefault((number, _bucket(fact.at, tier)), Counter()).update(fact.counters)
            columns = ", ".join(rollup.counters)
            places = ", ".join(f"${place + 4}" for place in range(len(rollup.counters)))
            await self.here.pool.executemany(
                f"INSERT INTO {tier.table} AS found (workspace, series, bucket, {columns})"
                f" VALUES ($1, $2, $3, {places}) ON CONFLICT (workspace, bucket, series)"
                f" DO UPDATE SET {raised('found', rollup.counters)}",
                [(self.workspace, *place, *stored(cell, rollup.counters)) for place, cell in cells.items()],
            )

    async def add_reasons(
        self, at: datetime, reasons: dict[str, int], campaign: str = "", domain: str = "example.com"
    ) -> None:
        """Bounces by reason, for their series and the sum of all."""
        for number in (rollups.TOTAL, await self._series(campaign, domain)):
            await self.here.pool.executemany(
                "INSERT INTO bounce_reason_1d AS found (workspace, series, bucket, reason, bounced)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace, bucket, series, reason)"
                " DO UPDATE SET bounced = found.bounced + EXCLUDED.bounced",
                [(self.workspace, number, _bucket(at, rollups.TIERS[-1]), *each) for each in reasons.items()],
            )

    async def sending_ip(self, ip: str, checked_at: datetime | None = None, listed_in: tuple[str, ...] = ()) -> None:
        await self.here.pool.execute(
            "INSERT INTO sending_ip (workspace, ip, checked_at, listed_in) VALUES ($1, $2, $3, $4)",
            self.workspace,
            ip,
            checked_at,
            list(listed_in),
        )

    async def _series(self, campaign: str, domain: str) -> int:
        number: int = await self.here.pool.fetchval(
            "INSERT INTO series (workspace, campaign, domain) VALUES ($1, $2, $3)"
            " ON CONFLICT (workspace, campaign, domain, provider, template, tags, mailbox_provider)"
            " DO UPDATE SET campaign = EXCLUDED.campaign RETURNING id",
            self.workspace,
            campaign,
            domain,
        )
        return number


def _bucket(at: datetime, tier: Tier) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // tier.seconds * tier.seconds, UTC)


@asynccontextmanager
async def reports(dsn: str, redis_url: str, now: datetime, first: date) -> AsyncIterator[Api]:
    """A service for which it is always `now`, with room for moments from the month of `first` on."""
    async with query_api.asking(dsn, redis_url, now, first, Api, WORKSPACE, workspace_id=WORKSPACE) as made:
        yield made
