"""Requests of Krafter."""

from __future__ import annotations

from tests.bench.cases.case import Answer, Case, Comparable
from tests.bench.raw import FAR, Raw, moment

STATS, DAILY = "/api/v1/mail/stats", "/api/v1/mail/stats/daily"


def cases() -> list[Case]:
    """Rolling periods and days."""
    return [
        Case("Krafter stats, 1 day", ("GET", STATS), STATS + "?period=1d", read=_states, raw=_since),
        Case("Krafter stats, 30 days", ("GET", STATS), STATS + "?period=30d", read=_states, raw=_since),
        Case("Krafter stats, 90 days", ("GET", STATS), STATS + "?period=90d", read=_states, raw=_since),
        Case("Krafter daily, 30 days", ("GET", DAILY), DAILY, read=_days, raw=_daily),
        Case("Krafter daily, 365 days", ("GET", DAILY), DAILY + "?days=365", read=_days, raw=_daily),
    ]


def _states(answer: Answer) -> Comparable:
    return answer["data"]["by_status"]


async def _since(raw: Raw, answer: Answer) -> Comparable:
    counts: dict[str, int] = {}
    for row in await raw.rows("states", moment(answer["data"]["since"]), FAR, "century"):
        counts[row["state"]] = counts.get(row["state"], 0) + row["count"]
    return counts


def _days(answer: Answer) -> Comparable:
    return {(row["date"], state): n for row in answer["data"] for state, n in row.items() if state != "date" and n}


async def _daily(raw: Raw, answer: Answer) -> Comparable:
    rows = await raw.rows("states", moment(answer["data"][0]["date"]), FAR, "day")
    return {(f"{row['bucket']:%Y-%m-%d}", row["state"]): row["count"] for row in rows}
