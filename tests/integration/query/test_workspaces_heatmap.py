"""Workspaces' engagement heatmap against its messages counted one by one, and which hour is best."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from postmeter.shared.storage.rollups import SENT
from tests.integration.report_moments import DAY, FIRST, NOW, TOMORROW, percent
from tests.integration.reports import Api, Cohort, reports


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with reports(postgres_dsn, redis_url, NOW, date(2025, 8, 1)) as made:
        yield made


PERIODS = [("nighttime", 0, 6), ("early_morning", 6, 9), ("office_hours", 9, 17), ("evening", 17, 24)]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati", "America/New_York", "Asia/Kolkata"]
)
async def test_the_heatmap_equals_its_messages_counted(api: Api, zone: str) -> None:
    chance = random.Random(zone)
    cohorts = []
    for _ in range(250):
        mailed = chance.randrange(1, 60)
        opened, clicked, replied = (chance.randrange(mailed + 1) for _ in range(3))
        moment = FIRST - DAY + timedelta(seconds=chance.randrange(33 * 86400))
        cohorts.append(
            Cohort(moment, counters={"mailed": mailed, "opened": opened, "clicked": clicked, "replied": replied})
        )
    await api.add_cohorts(SENT, *cohorts)
    data = await api.read("engagement-heatmap", timezone=zone)
    assert data["timezone"] == zone
    found = {(cell["day_of_week"], cell["time_period"]): cell for cell in data["heatmap"]}
    local = [(c.at.astimezone(ZoneInfo(zone)), c.counters) for c in cohorts if FIRST <= c.at < TOMORROW]
    for weekday, name in enumerate(WEEKDAYS):
        for period, first, after in PERIODS:
            own = [k for at, k in local if at.weekday() == weekday and first <= at.hour < after]
            cell = found[name, period]
            assert cell["emails_sent"] == sum(k["mailed"] for k in own)
            assert cell["emails_opened"] == sum(k["opened"] for k in own)
            assert cell["open_rate"] == percent(cell["emails_opened"], cell["emails_sent"])
            assert cell["engagement_score"] == percent(points(own), cell["emails_sent"])
    best = best_hour(local)
    assert data["optimal_send_time"] == best
    total = sum(k["mailed"] for _, k in local)
    for hour in data["hours"]:
        place = WEEKDAYS.index(hour["day_of_week"]), hour["hour"]
        own = [k for at, k in local if (at.weekday(), at.hour) == place]
        for ours, theirs in (("sent", "mailed"), ("opened", "opened"), ("clicked", "clicked"), ("replied", "replied")):
            assert hour[f"emails_{ours}"] == sum(k[theirs] for k in own)
        assert hour["engagement_score"] == percent(points(own), hour["emails_sent"])
        assert hour["compared"] == (100 * hour["emails_sent"] >= total)
    assert sum(hour["emails_sent"] for hour in data["hours"]) == total
    compared = [hour["engagement_score"] for hour in data["hours"] if hour["compared"]]
    assert max(compared) == best["engagement_score"]


def points(own: list[dict[str, int]]) -> Fraction:
    return sum((Fraction(3 * k["opened"] + 4 * k["clicked"] + 3 * k["replied"], 10) for k in own), Fraction(0))


def best_hour(local: list[tuple[datetime, dict[str, int]]]) -> dict[str, Any]:
    total = sum(k["mailed"] for _, k in local)
    ranked = []
    for weekday in range(7):
        for hour in range(24):
            own = [k for at, k in local if (at.weekday(), at.hour) == (weekday, hour)]
            mailed = sum(k["mailed"] for k in own)
            if mailed and mailed >= Fraction(total, 100):
                ranked.append((-points(own) / mailed, -mailed, weekday, hour))
    score, _, weekday, hour = min(ranked)
    return {"day_of_week": WEEKDAYS[weekday], "hour": hour, "engagement_score": percent(-score, 1)}


async def test_the_best_hour_needs_a_hundredth_of_the_mail(api: Api) -> None:
    tuesday = datetime(2025, 11, 18, 10, tzinfo=UTC)
    await api.add_cohorts(
        SENT,
        Cohort(tuesday, counters={"mailed": 981, "opened": 98}),
        Cohort(tuesday + timedelta(hours=1), counters={"mailed": 9, "opened": 9}),
        Cohort(tuesday + timedelta(hours=2), counters={"mailed": 10, "opened": 5}),
    )
    assert (await api.read("engagement-heatmap"))["optimal_send_time"] == {
        "day_of_week": "Tuesday",
        "hour": 12,
        "engagement_score": 15,
    }


async def test_equally_good_hours_are_ordered_by_mail_then_by_the_week(api: Api) -> None:
    tuesday = datetime(2025, 11, 18, 10, tzinfo=UTC)

    async def best() -> tuple[str, int, float]:
        found = (await api.read("engagement-heatmap"))["optimal_send_time"]
        return found["day_of_week"], found["hour"], found["engagement_score"]

    await api.add_cohorts(
        SENT,
        Cohort(tuesday, counters={"mailed": 10, "opened": 5}),
        Cohort(tuesday + timedelta(days=3), counters={"mailed": 20, "opened": 10}),
    )
    assert await best() == ("Friday", 10, 15)
    await api.add_cohorts(SENT, Cohort(tuesday + timedelta(days=2), counters={"mailed": 20, "opened": 2, "clicked": 6}))
    assert await best() == ("Thursday", 10, 15)
    await api.add_cohorts(SENT, Cohort(tuesday + timedelta(days=2, hours=-1), counters={"mailed": 20, "opened": 10}))
    assert await best() == ("Thursday", 9, 15)


async def test_no_hour_is_best_where_mail_is_spread_evenly_or_none_was_sent(api: Api) -> None:
    assert (await api.read("engagement-heatmap"))["optimal_send_time"] is None
    monday = datetime(2025, 11, 10, tzinfo=UTC)
    await api.add_cohorts(
        SENT, *(Cohort(monday + timedelta(hours=n), counters={"mailed": 5, "opened": 1}) for n in range(168))
    )
    assert (await api.read("engagement-heatmap"))["optimal_send_time"] is None


async def test_the_heatmap_of_a_campaign(api: Api) -> None:
    await api.campaign("a")
    await api.add_cohorts(
        SENT,
        Cohort(NOW, "a", counters={"mailed": 10, "opened": 1}),
        Cohort(NOW, "b", counters={"mailed": 100, "opened": 90}),
    )
    data = await api.read("engagement-heatmap", campaignId="a", timeRange="90d")
    assert sum(cell["emails_sent"] for cell in data["heatmap"]) == 10
    # A `+` in a query string that is not percent-encoded is a space.
    assert (await api.read("engagement-heatmap", timezone=" 05:45"))["timezone"] == "+05:45"
