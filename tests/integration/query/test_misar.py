"""Misar's reads over real HTTP, field by field as its document prints them."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from postmeter.query.documents import misar
from postmeter.shared.storage.rollups import CREATED
from tests.integration.reports import Api, Cohort, reports
from tests.integration.running_query import Fact

NOW = datetime(2026, 4, 6, 10, 20, 30, tzinfo=UTC)
OVERVIEW = "/api/v1/analytics/overview"
CAMPAIGN = "/api/v1/analytics/campaigns/"
NINE = datetime(2026, 4, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with reports(postgres_dsn, redis_url, NOW, date(2026, 1, 1)) as made:
        yield made


async def good(api: Api, path: str, **parameters: str) -> Any:
    status, answer = await api.get(path, **parameters)
    assert (status, answer["success"]) == (200, True), answer
    return answer


async def test_the_overview_of_the_document(api: Api) -> None:
    counted = {
        "sent": 12480,
        "delivered": 12210,
        "human_opens": 4000,
        "proxy_opens": 884,
        "machine_opens": 999,
        "unique_opens": 3663,
        "human_clicks": 1221,
        "machine_clicks": 77,
        "unique_clicks": 855,
        "hard_bounced": 48,
        "soft_bounced": 222,
        "complained": 12,
        "unsubscribed": 36,
        "unique_unsubscribed": 30,
    }
    halves = [{name: value // 2 + half * (value % 2) for name, value in counted.items()} for half in (0, 1)]
    first, last = datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 4, 6, 23, 59, 59, tzinfo=UTC)
    await api.add(Fact(first, counters=halves[0]), Fact(last, "spring", counters=halves[1]))
    outside = {"sent": 10**6, "human_opens": 10**6}
    second = timedelta(seconds=1)
    await api.add(Fact(first - second, counters=outside), Fact(last + second, counters=outside))
    answer = await good(api, OVERVIEW, period="30d")
    # The example's open_rate of 0.392 is not 4884 / 12480: semantics.md keeps the formula.
    assert json.dumps(answer) == json.dumps(
        {
            "success": True,
            "period": {"from": "2026-03-07T00:00:00Z", "to": "2026-04-06T23:59:59Z"},
            "metrics": {
                "sends": 12480,
                "delivered": 12210,
                "opens": 4884,
                "unique_opens": 3663,
                "clicks": 1221,
                "unique_clicks": 855,
                "bounces": 270,
                "hard_bounces": 48,
                "soft_bounces": 222,
                "complaints": 12,
                "unsubscribes": 36,
                "open_rate": 0.391,
                "click_rate": 0.098,
                "bounce_rate": 0.022,
                "complaint_rate": 0.001,
            },
        }
    )
    assert await good(api, OVERVIEW) == answer


async def the_document_s_campaign(api: Api) -> None:
    await api.campaign("camp_abc123", "April Newsletter", sent_at=NINE)
    sent = {"sent": 5200, "delivered": 5096, "hard_bounced": 4, "soft_bounced": 100}
    hours = [(820, 205), (614, 153), (0, 0), (604, 152)]
    await api.add(
        Fact(NINE, "camp_abc123", counters=sent | {"complained": 5, "unsubscribed": 18, "unique_unsubscribed": 17}),
        *(
            Fact(
                NINE + number * HOUR + timedelta(minutes=20),
                "camp_abc123",
                counters={"human_opens": opens - opens // 3, "proxy_opens": opens // 3, "human_clicks": clicks},
            )
            for number, (opens, clicks) in enumerate(hours)
        ),
        Fact(NINE + 30 * HOUR, "camp_abc123", counters={"machine_opens": 50, "machine_clicks": 50}),
        Fact(NINE + 40 * HOUR, "another", counters={"sent": 9, "human_opens": 9, "human_clicks": 9}),
    )
    await api.add_cohorts(
        CREATED,
        Cohort(NINE - HOUR, "camp_abc123", counters={"delivered": 5091, "complained": 5}),
        Cohort(NINE, "camp_abc123", counters={"soft_bounced": 100, "hard_bounced": 4}),
        Cohort(NINE, "another", counters={"sent": 9}),
    )


async def test_the_campaign_of_the_document(api: Api) -> None:
    await the_document_s_campaign(api)
    assert json.dumps(await good(api, CAMPAIGN + "camp_abc123")) == json.dumps(
        {
            "success": True,
            "campaign": {
                "id": "camp_abc123",
                "name": "April Newsletter",
                "status": "sent",
                "sent_at": "2026-04-01T09:00:00Z",
            },
            "metrics": {
                "total_recipients": 5200,
                "total_sent": 5200,
                "total_delivered": 5096,
                "total_opened": 2038,
                "total_clicked": 510,
                "total_bounced": 104,
                "total_complained": 5,
                "total_unsubscribed": 18,
                "open_rate": 0.392,
                "click_rate": 0.098,
                "bounce_rate": 0.02,
            },
            "timeline": [
                {"hour": "2026-04-01T09:00:00Z", "opens": 820, "clicks": 205},
                {"hour": "2026-04-01T10:00:00Z", "opens": 614, "clicks": 153},
                {"hour": "2026-04-01T11:00:00Z", "opens": 0, "clicks": 0},
                {"hour": "2026-04-01T12:00:00Z", "opens": 604, "clicks": 152},
            ],
        }
    )


async def test_a_campaign_that_nothing_happened_to(api: Api) -> None:
    await api.campaign("draft")
    answer = await good(api, CAMPAIGN + "draft")
    assert answer["campaign"] == {"id": "draft", "name": "draft", "status": "draft", "sent_at": None}
    assert set(answer["metrics"].values()) == {0}
    assert answer["timeline"] == []


async def test_a_campaign_s_whole_life_counts(api: Api) -> None:
    await api.campaign("long")
    opened = {"sent": 1, "human_opens": 1}
    early, late = datetime(2026, 1, 1, tzinfo=UTC), NOW + timedelta(minutes=55)
    await api.add(Fact(early, "long", counters=opened), Fact(late, "long", counters=opened))
    await api.add_cohorts(
        CREATED, Cohort(early, "long", counters={"sent": 1}), Cohort(late, "long", counters={"queued": 2})
    )
    answer = await good(api, CAMPAIGN + "long")
    assert answer["metrics"]["total_sent"] == 2
    assert answer["metrics"]["total_recipients"] == 3
    hours = [point["hour"] for point in answer["timeline"]]
    assert len(hours) == len(set(hours)) == (late - early) // HOUR + 1
    assert (hours[0], hours[-1]) == ("2026-01-01T00:00:00Z", "2026-04-06T11:00:00Z")
    assert hours == sorted(hours)
    assert sum(point["opens"] for point in answer["timeline"]) == 2


async def test_a_life_of_very_many_hours_shows_the_first(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.campaign("old")
    for hours in (0, 5, 30):
        for domain in ("mine.example", "theirs.example"):
            await api.add(Fact(NINE + hours * HOUR, "old", domain, counters={"human_clicks": 1, "proxy_opens": 2}))
    whole = (await good(api, CAMPAIGN + "old"))["timeline"]
    assert [point["clicks"] for point in whole] == [2, 0, 0, 0, 0, 2, *[0] * 24, 2]
    monkeypatch.setattr(misar, "MAX_HOURS", 24)
    assert (await good(api, CAMPAIGN + "old", another="question"))["timeline"] == whole[:24]
    mine = (await good(api.confined("mine.example"), CAMPAIGN + "old"))["timeline"]
    assert [(point["opens"], point["clicks"]) for point in mine] == [(2, 1), *[(0, 0)] * 4, (2, 1), *[(0, 0)] * 18]


async def test_an_unknown_campaign_in_misar_s_envelope(api: Api) -> None:
    for path, name in ((CAMPAIGN + "nowhere", "nowhere"), (CAMPAIGN + "%00", "\ufffd"), (CAMPAIGN + "a%2Fb", "a/b")):
        assert await api.raw_get(path) == (
            404,
            {"success": False, "error": f"Campaign with ID {name} not found", "error_type": "CAMPAIGN_NOT_FOUND"},
        )


async def test_a_domain_admin_sees_its_domains_only(api: Api) -> None:
    await api.campaign("both", "Both", sent_at=NINE)
    await api.campaign("theirs")
    for domain, n in (("mine.example", 1), ("theirs.example", 10)):
        counted = {"sent": 10 * n, "delivered": 9 * n, "human_opens": 4 * n, "unique_opens": n, "human_clicks": n}
        await api.add(Fact(NINE + n * HOUR, "both", domain, counters=counted))
        await api.add_cohorts(CREATED, Cohort(NINE, "both", domain, {"sent": 10 * n}))
    await api.add(Fact(NINE, "theirs", "theirs.example", counters={"sent": 1000}))
    mine = api.confined("mine.example")
    overview = (await good(mine, OVERVIEW))["metrics"]
    assert (overview["sends"], overview["opens"], overview["open_rate"]) == (10, 4, 0.4)
    campaign = await good(mine, CAMPAIGN + "both")
    assert (campaign["metrics"]["total_recipients"], campaign["metrics"]["total_sent"]) == (10, 10)
    assert campaign["timeline"] == [{"hour": "2026-04-01T10:00:00Z", "opens": 4, "clicks": 1}]
    assert (await mine.get(CAMPAIGN + "theirs"))[0] == 404
    assert (await api.get(CAMPAIGN + "theirs"))[0] == 200
    for nobody in (api.confined(), api.confined("other.example")):
        assert set((await good(nobody, OVERVIEW))["metrics"].values()) == {0}
        assert (await nobody.get(CAMPAIGN + "both"))[0] == 404


async def test_another_tenant_s_campaign_is_unknown(api: Api) -> None:
    other = await api.here.workspace("other")
    await api.here.pool.execute("INSERT INTO campaign (workspace, id, name) VALUES ($1, 'theirs', 'Theirs')", other)
    await api.here.add(other, Fact(NINE, "theirs", counters={"sent": 5}))
    assert (await api.get(CAMPAIGN + "theirs"))[0] == 404
    assert set((await good(api, OVERVIEW))["metrics"].values()) == {0}


@pytest.mark.parametrize(
    ("parameters", "start", "end"),
    [
        ({"period": "7d"}, "2026-03-30T00:00:00Z", "2026-04-06T23:59:59Z"),
        ({"period": "90d"}, "2026-01-06T00:00:00Z", "2026-04-06T23:59:59Z"),
        ({"from": "2026-04-01", "to": "2026-04-02"}, "2026-04-01T00:00:00Z", "2026-04-02T23:59:59Z"),
        ({"period": "7d", "from": "2026-02-01"}, "2026-02-01T00:00:00Z", "2026-04-06T23:59:59Z"),
        ({"period": "custom", "from": "2026-02-01"}, "2026-02-01T00:00:00Z", "2026-04-06T23:59:59Z"),
        ({"period": "7d", "to": "2026-04-01"}, "2026-03-30T00:00:00Z", "2026-04-01T23:59:59Z"),
        (
            {"from": "2026-04-01T10:00", "to": "2026-04-01T13:30+0200"},
            "2026-04-01T10:00:00Z",
            "2026-04-01T11:29:59Z",
        ),
    ],
)
async def test_both_ends_of_the_window_are_printed_and_are_what_is_counted(
    api: Api, parameters: dict[str, str], start: str, end: str
) -> None:
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    second = timedelta(seconds=1)
    await api.add(Fact(first, counters={"sent": 1}), Fact(last, counters={"sent": 1}))
    await api.add(Fact(first - second, counters={"sent": 10}), Fact(last + second, counters={"sent": 10}))
    answer = await good(api, OVERVIEW, **parameters)
    assert answer["period"] == {"from": start, "to": end}
    assert answer["metrics"]["sends"] == 2


BAD_WINDOWS = [
    ("period=1d", "period takes 7d, 30d, 90d"),
    ("period=", "period takes"),
    ("period=custom&to=2026-04-01", "period takes"),
    ("from=2026-04-02&to=2026-04-01", "Start date must be before end date"),
    ("from=yesterday", "from: takes a timestamp"),
    ("to=2026-02-30", "to: is not a date"),
    ("to=2026-04-01T10", "to: takes a timestamp"),
    ("from=1999-01-01", "from: takes years"),
]


async def test_bad_windows(api: Api) -> None:
    for parameters, part in BAD_WINDOWS:
        status, answer = await api.raw_get(f"{OVERVIEW}?{parameters}")
        assert (status, list(answer)) == (400, ["success", "error", "error_type"]), parameters
        assert (answer["success"], answer["error_type"]) == (False, "INVALID_TIME_RANGE"), parameters
        assert part in answer["error"], parameters


async def test_a_parameter_given_twice(api: Api) -> None:
    status, answer = await api.raw_get(f"{OVERVIEW}?period=7d&period=30d")
    assert (status, answer["error_type"]) == (400, "INVALID_PARAMETER")


async def test_the_published_client_s_path_has_parts_and_one_campaign(api: Api) -> None:
    await api.add(
        Fact(NINE, "spring", "a.example", counters={"sent": 8, "human_opens": 4}),
        Fact(NINE + 24 * HOUR, "spring", "b.example", counters={"sent": 2}),
        Fact(NINE + 24 * HOUR, "autumn", "a.example", counters={"sent": 90, "human_clicks": 9}),
    )
    await api.campaign("spring")
    path = "/mail/v1/analytics"
    whole = await good(api, path, start_date="2026-04-01", end_date="2026-04-02T23:59:59")
    assert list(whole) == ["success", "period", "metrics"]
    assert whole["period"] == {"from": "2026-04-01T00:00:00Z", "to": "2026-04-02T23:59:59Z"}
    assert (whole["metrics"]["sends"], whole["metrics"]["click_rate"]) == (100, 0.09)
    days = await good(api, path, start_date="2026-04-01", end_date="2026-04-02", group_by="day")
    assert [(part["group"], part["metrics"]["sends"]) for part in days["groups"]] == [
        ("2026-04-01T00:00:00Z", 8),
        ("2026-04-02T00:00:00Z", 92),
    ]
    for by, found in (
        ("campaign", [("autumn", 90), ("spring", 10)]),
        ("domain", [("a.example", 98), ("b.example", 2)]),
    ):
        parts = (await good(api, path, start_date="2026-04-01", group_by=by))["groups"]
        assert [(part["group"], part["metrics"]["sends"]) for part in parts] == found
    one = await good(api, path, start_date="2026-04-01", campaign_id="spring", group_by="domain")
    assert (one["metrics"]["sends"], len(one["groups"])) == (10, 2)
    for wrong, code in (({"group_by": "moon"}, 400), ({"campaign_id": "nobody"}, 404), ({"start_date": "soon"}, 400)):
        status, answer = await api.get(path, **wrong)
        assert (status, answer["success"]) == (code, False)
