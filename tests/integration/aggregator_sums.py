"""What must add up in the tables whatever happened: links, reasons and campaigns beside history and activity."""

from typing import Any

from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import LINKS, ROLLUPS
from tests.aggregation import Bench

_BY_LINK = """
SELECT bucket, series, url, human_clicks, machine_clicks FROM (
    SELECT c.bucket, c.series, l.url, coalesce(c.human_clicks, 0) AS human_clicks,
        coalesce(c.machine_clicks, 0) AS machine_clicks FROM {table} c
    LEFT JOIN link l ON l.workspace = c.workspace AND l.id = c.link WHERE c.workspace = $1) counted
FULL JOIN (
    SELECT date_bin($2 * interval '1 second', at, 'epoch') AS bucket, series, url,
        count(*) FILTER (WHERE verdict <> 3) AS human_clicks, count(*) FILTER (WHERE verdict = 3) AS machine_clicks
    FROM history WHERE workspace = $1 AND type = 11 AND url <> '' AND counted GROUP BY 1, 2, 3) history
USING (bucket, series, url, human_clicks, machine_clicks)
WHERE counted IS NULL OR history IS NULL
"""
_BY_REASON = """
SELECT bucket, series, n FROM (
    SELECT bucket, series, sum(bounced) AS n FROM bounce_reason_1d WHERE workspace = $1 GROUP BY 1, 2) reasons
FULL JOIN (
    SELECT bucket, series, coalesce(hard_bounced, 0) + coalesce(soft_bounced, 0) AS n FROM activity_1d
    WHERE workspace = $1 AND (hard_bounced > 0 OR soft_bounced > 0)) activity
USING (bucket, series, n)
WHERE reasons IS NULL OR activity IS NULL
"""
_CAMPAIGNS = """
SELECT id, sent_at FROM campaign WHERE workspace = $1 AND sent_at IS DISTINCT FROM (
    SELECT min(m.sent_at) FROM mail m WHERE m.workspace = $1 AND m.campaign = campaign.id)
"""


async def check_sums(db: Connection, workspace: int) -> None:
    """Fails with the rows that differ. Every click's URL must be below the limit of links."""
    for tier in LINKS.tiers:
        assert await db.fetch(_BY_LINK.format(table=tier.table), workspace, tier.seconds) == []
    assert await db.fetch(_BY_REASON, workspace) == []
    assert await db.fetch(_CAMPAIGNS, workspace) == []


async def sums(at: Bench) -> dict[str, Any]:
    """Every rollup, row by row, and what messages add up to."""
    tables = [tier.table for rollup in ROLLUPS for tier in rollup.tiers]
    found = {table: sorted(map(str, await at.db.fetch(f"SELECT * FROM {table}"))) for table in [*tables, "live_total"]}
    states = await at.db.fetch("SELECT series, state, count(*) FROM message GROUP BY 1, 2 ORDER BY 1, 2")
    return found | {"messages": states}
