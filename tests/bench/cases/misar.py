"""Requests of Misar."""

from __future__ import annotations

from tests.bench.cases.case import Answer, Case, Comparable
from tests.bench.dataset import Dataset
from tests.bench.raw import Raw, moment, picked, through

OVERVIEW, CAMPAIGN = "/api/v1/analytics/overview", "/api/v1/analytics/campaigns/{id}"
CLIENT = "/mail/v1/analytics"
NAMES = (
    "sends",
    "delivered",
    "opens",
    "unique_opens",
    "clicks",
    "unique_clicks",
    "bounces",
    "hard_bounces",
    "soft_bounces",
    "complaints",
    "unsubscribes",
)
COUNTED = (
    "sent",
    "delivered",
    "opens",
    "unique_opens",
    "clicks",
    "unique_clicks",
    "bounced",
    "hard",
    "soft",
    "complained",
    "unsubscribed",
)
TOTALS = (
    "total_recipients",
    "total_sent",
    "total_delivered",
    "total_opened",
    "total_clicked",
    "total_bounced",
    "total_complained",
    "total_unsubscribed",
)


def cases(data: Dataset) -> list[Case]:
    """The account and a campaign."""
    filled = CAMPAIGN.replace("{id}", data.campaigns[0])
    return [
        Case(
            "Misar overview, 30 days",
            ("GET", OVERVIEW),
            OVERVIEW,
            read=lambda answer: picked(answer["metrics"], NAMES),
            raw=_overview,
        ),
        Case(
            "Misar client, 30 days by day",
            ("GET", CLIENT),
            f"{CLIENT}?group_by=day",
            read=lambda answer: picked(answer["metrics"], NAMES),
            raw=_overview,
        ),
        Case("Misar campaign", ("GET", CAMPAIGN), filled, read=_campaign, raw=_life),
    ]


async def _overview(raw: Raw, answer: Answer) -> Comparable:
    (row,) = await raw.rows("total", *through(answer["period"], "from", "to"))
    return picked(row, COUNTED)


def _campaign(answer: Answer) -> Comparable:
    hours = {moment(row["hour"]): (row["opens"], row["clicks"]) for row in answer["timeline"]}
    return picked(answer["metrics"], TOTALS), {hour: counts for hour, counts in hours.items() if any(counts)}


async def _life(raw: Raw, answer: Answer) -> Comparable:
    campaign = raw.dataset.campaigns[0]
    (total,) = await raw.rows("life", campaign)
    return tuple(total), {row[0]: (row[1], row[2]) for row in await raw.rows("life_hours", campaign)}
