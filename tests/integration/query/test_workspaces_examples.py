"""Workspaces' example requests on data of which its example answers come out, field by field.

Where semantics.md says that an example breaks its own formula (the heatmap's scores), the formula's value is expected.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest

from postmeter.shared.storage.rollups import SENT
from tests.integration.reports import WORKSPACE, Api, Cohort, reports
from tests.integration.running_query import Fact

NOW = datetime(2025, 11, 26, 10, 20, 30, tzinfo=UTC)
RANGE = {"start": "2025-10-27T00:00:00Z", "end": "2025-11-26T23:59:59Z", "period": "30d"}


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with reports(postgres_dsn, redis_url, NOW, date(2025, 10, 1)) as made:
        yield made


def at(day: str) -> datetime:
    """Some moment of a day in 2025."""
    return datetime.fromisoformat(f"2025-{day}T13:14:15+00:00")


async def test_campaign_analytics(api: Api) -> None:
    await api.campaign("cmp_abc123", "Q4 Outreach Campaign")
    first = {"sent": 200, "delivered": 196, "unique_opens": 60, "unique_clicks": 10, "unique_replies": 4}
    rest = {
        "sent": 4800,
        "delivered": 4704,
        "hard_bounced": 60,
        "soft_bounced": 40,
        "unique_opens": 1410,
        "human_opens": 3000,
        "unique_clicks": 235,
        "human_clicks": 400,
        "unique_replies": 94,
        "replies": 100,
        "complained": 5,
        "unique_unsubscribed": 12,
        "unsubscribed": 20,
    }
    await api.add(Fact(at("11-01"), "cmp_abc123", counters=first), Fact(at("11-20"), "cmp_abc123", counters=rest))
    data = await api.read_campaign("cmp_abc123")
    series = data.pop("time_series")
    assert json.dumps(data, separators=(",", ":")) == json.dumps(
        {
            "campaign_id": "cmp_abc123",
            "campaign_name": "Q4 Outreach Campaign",
            "time_range": RANGE,
            "summary": {
                "emails_sent": 5000,
                "emails_delivered": 4900,
                "emails_bounced": 100,
                "emails_opened": 1470,
                "emails_clicked": 245,
                "emails_replied": 98,
                "spam_complaints": 5,
                "unsubscribes": 12,
            },
            "rates": {
                "delivery_rate": 98.0,
                "open_rate": 30.0,
                "click_rate": 5.0,
                "click_to_open_rate": 16.67,
                "reply_rate": 2.0,
                "bounce_rate": 2.0,
                "spam_rate": 0.1,
                "unsubscribe_rate": 0.24,
            },
        },
        separators=(",", ":"),
    )
    assert [point["date"] for point in series] == [
        (date(2025, 10, 27) + timedelta(days=n)).isoformat() for n in range(31)
    ]
    assert list(series[5].items()) == [
        ("date", "2025-11-01"),
        ("sent", 200),
        ("delivered", 196),
        ("opened", 60),
        ("clicked", 10),
        ("replied", 4),
        ("bounced", 0),
        ("spam_complaints", 0),
    ]
    assert series[24]["bounced"] == 100
    assert series[24]["spam_complaints"] == 5
    assert not any(point["sent"] for number, point in enumerate(series) if number not in (5, 24))


async def test_overview(api: Api) -> None:
    await api.campaign("cmp_abc123", "Q4 Outreach")
    for number in range(14):
        await api.campaign(f"cmp_{number:02}", f"Campaign {number}")
    best = {"sent": 1000, "delivered": 1000, "unique_opens": 355, "unique_clicks": 50, "unique_replies": 32}
    others = {"sent": 74000, "delivered": 72500, "unique_opens": 21695, "unique_clicks": 3625, "unique_replies": 1438}
    parts = [{name: value // 7 + (n < value % 7) for name, value in others.items()} for n in range(7)]
    await api.add(
        Fact(at("11-02"), "cmp_abc123", counters=best),
        *(Fact(at("11-03"), f"cmp_{n:02}", counters=part) for n, part in enumerate(parts)),
        Fact(at("10-20"), "cmp_09", counters={"sent": 10, "delivered": 10}),  # before the window
        Fact(at("11-04"), "cmp_10", counters={"human_opens": 10}),  # sent nothing
    )
    data = await api.read("overview")
    top = data.pop("top_campaigns")
    assert json.dumps(data) == json.dumps(
        {
            "workspace_id": WORKSPACE,
            "time_range": RANGE,
            "summary": {
                "total_campaigns": 15,
                "active_campaigns": 8,
                "emails_sent": 75000,
                "emails_delivered": 73500,
                "emails_opened": 22050,
                "emails_clicked": 3675,
                "emails_replied": 1470,
            },
            "rates": {"delivery_rate": 98.0, "open_rate": 30.0, "click_rate": 5.0, "reply_rate": 2.0},
        }
    )
    assert json.dumps(top[0]) == json.dumps(
        {"campaign_id": "cmp_abc123", "campaign_name": "Q4 Outreach", "open_rate": 35.5, "reply_rate": 3.2}
    )
    assert len(top) == 5


async def test_deliverability(api: Api) -> None:
    def mailed(day: str, sent: int, **more: int) -> Fact:
        return Fact(at(day), counters={"sent": sent, "delivered": sent - sum(more.values()), **more})

    # Hard bounces cost the week up to 1 November 10 points; less mail than in the week before costs 8 later on.
    await api.add(
        mailed("10-29", 10_000, hard_bounced=429),
        mailed("11-05", 45_000, hard_bounced=371, soft_bounced=700),
        Fact(at("11-05"), counters={"complained": 1875}),
        mailed("11-10", 10_500),
        mailed("11-16", 7_700),
        mailed("11-24", 1_800),
    )
    await api.add_reasons(at("10-29"), {"Mailbox full": 150, "DNS failure": 300})
    await api.add_reasons(
        at("11-05"),
        {"Mailbox full": 200, "Invalid recipient": 500, "Policy": 200, "Other": 100, "Rate limited": 30, "Spam": 20},
    )
    for last in range(1, 4):
        await api.sending_ip(f"192.0.2.{last}", datetime(2025, 11, 26, 8 + last % 3, tzinfo=UTC))
    data = await api.read("deliverability")
    trend = data.pop("reputation_trend")
    for ours in ("health_parts", "sending_ips"):
        assert data.pop(ours)
    assert json.dumps(data) == json.dumps(
        {
            "workspace_id": WORKSPACE,
            "time_range": {"start": RANGE["start"], "end": RANGE["end"]},
            "overall": {
                "estimated_inbox_placement_rate": 95.5,
                "spam_rate": 2.5,
                "bounce_rate": 2.0,
                "health_score": 92,
            },
            "bounce_analysis": {
                "hard_bounces": 800,
                "soft_bounces": 700,
                "hard_bounce_rate": 1.07,
                "soft_bounce_rate": 0.93,
                "top_bounce_reasons": [
                    {"reason": "Invalid recipient", "count": 500, "percentage": 33.3},
                    {"reason": "Mailbox full", "count": 350, "percentage": 23.3},
                    {"reason": "DNS failure", "count": 300, "percentage": 20.0},
                    {"reason": "Policy", "count": 200, "percentage": 13.3},
                    {"reason": "Other", "count": 100, "percentage": 6.7},
                ],
            },
            "blacklist_status": {
                "any_ip_blacklisted": False,
                "ips_checked": 3,
                "last_check": "2025-11-26T10:00:00Z",
            },
        }
    )
    assert [point["date"] for point in trend] == [
        (date(2025, 10, 27) + timedelta(days=n)).isoformat() for n in range(31)
    ]
    assert list(trend[5].items()) == [("date", "2025-11-01"), ("score", 90)]
    assert trend[19] == {"date": "2025-11-15", "score": 92}
    assert trend[-1]["score"] == 92


async def test_engagement_heatmap(api: Api) -> None:
    await api.here.pool.execute("UPDATE workspace SET timezone = 'America/New_York'")
    monday, tuesday = datetime(2025, 11, 17, 15, tzinfo=UTC), datetime(2025, 11, 18, 15, tzinfo=UTC)  # 10 there
    await api.add_cohorts(
        SENT,
        Cohort(monday, counters={"mailed": 300, "opened": 100, "clicked": 20, "replied": 10}),
        Cohort(monday + timedelta(hours=6), counters={"mailed": 200, "opened": 50}),
        Cohort(tuesday, counters={"mailed": 500, "opened": 200, "clicked": 60, "replied": 30}),
        Cohort(tuesday + timedelta(hours=2), counters={"mailed": 100, "opened": 10}),
    )
    data = await api.read("engagement-heatmap")
    cells = data.pop("heatmap")
    assert data.pop("hours")
    assert json.dumps(data) == json.dumps(
        {
            "workspace_id": WORKSPACE,
            "timezone": "America/New_York",
            "optimal_send_time": {"day_of_week": "Tuesday", "hour": 10, "engagement_score": 18.6},
        }
    )
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    periods = ["nighttime", "early_morning", "office_hours", "evening"]
    assert [(c["day_of_week"], c["time_period"]) for c in cells] == [(d, p) for d in days for p in periods]
    assert [json.dumps(cell) for cell in cells if cell["emails_sent"]] == [
        json.dumps(
            {
                "day_of_week": day,
                "time_period": "office_hours",
                "emails_sent": sent,
                "emails_opened": opened,
                "open_rate": open_rate,
                "engagement_score": score,
            }
        )
        for day, sent, opened, open_rate, score in [
            ("Monday", 500, 150, 30.0, 11.2),
            ("Tuesday", 600, 210, 35.0, 16.0),
        ]
    ]


async def test_compare(api: Api) -> None:
    # The example prints one decimal of its rates, and leaves out its third campaign.
    counts = {
        "cmp_abc123": ("Q4 Outreach", 458, 451, 160, 28, 14),
        "cmp_def456": ("Product Launch", 365, 357, 101, 17, 8),
        "cmp_ghi789": ("Newsletter", 1000, 950, 150, 20, 5),
    }
    for campaign, (name, sent, delivered, opened, clicked, replied) in counts.items():
        await api.campaign(campaign, name)
        counted = {"sent": sent, "delivered": delivered}
        counted |= {"unique_opens": opened, "unique_clicks": clicked, "unique_replies": replied}
        await api.add(Fact(at("11-10"), campaign, counters=counted))
    status, answer = await api.post(
        f"/api/v1/workspaces/{WORKSPACE}/analytics/compare",
        {
            "campaign_ids": ["cmp_abc123", "cmp_def456", "cmp_ghi789"],
            "time_range": "30d",
            "metrics": ["open_rate", "click_rate", "reply_rate", "delivery_rate"],
        },
    )
    assert (status, list(answer), answer["success"]) == (200, ["success", "data"], True)
    assert list(answer["data"]) == ["comparison", "statistical_significance"]
    compared = answer["data"]["comparison"]
    intervals = [campaign.pop("intervals") for campaign in compared]
    for campaign in compared:
        campaign["metrics"] = {name: round(rate, 1) for name, rate in campaign["metrics"].items()}
    assert json.dumps(compared[:2]) == json.dumps(
        [
            {
                "campaign_id": "cmp_abc123",
                "campaign_name": "Q4 Outreach",
                "metrics": {"open_rate": 35.5, "click_rate": 6.2, "reply_rate": 3.1, "delivery_rate": 98.5},
            },
            {
                "campaign_id": "cmp_def456",
                "campaign_name": "Product Launch",
                "metrics": {"open_rate": 28.3, "click_rate": 4.8, "reply_rate": 2.2, "delivery_rate": 97.8},
            },
        ]
    )
    assert compared[2]["campaign_id"] == "cmp_ghi789"
    first = answer["data"]["statistical_significance"][0]
    first["p_value"] = round(first["p_value"], 2)
    assert json.dumps(first) == json.dumps(
        {"metric": "open_rate", "winner": "cmp_abc123", "p_value": 0.03, "is_significant": True}
    )
    # Wilson's interval of 160 in 451, from its formula by hand.
    assert json.dumps(intervals[0]["open_rate"]) == json.dumps(
        {"successes": 160, "trials": 451, "lower": 31.2, "upper": 40.0}
    )
