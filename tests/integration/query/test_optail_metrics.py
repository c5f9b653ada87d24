"""Optail's metrics, breakdown and summary over real HTTP, field by field as the document prints them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.query_api import Api
from tests.integration.running_query import Fact, sealed
from tests.integration.stored_messages import asking

NOW = datetime(2025, 2, 10, 10, 20, 30, 999_999, tzinfo=UTC)
COUNTED = ("sent", "delivered", "opened", "clicked", "bounced", "complained", "unsubscribed")
# How Optail names what is stored.
STORED = {"opened": "unique_opens", "clicked": "unique_clicks", "bounced": "hard_bounced"}
SENDGRID = {"sent": 8500, "delivered": 8350, "opened": 3200, "clicked": 480, "bounced": 150, "complained": 12}
POSTMARK = {"sent": 3200, "delivered": 3180, "opened": 1450, "clicked": 210, "bounced": 20, "complained": 3}


def stored(counts: dict[str, int]) -> dict[str, int]:
    return {STORED.get(name, name): n for name, n in counts.items()}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(shared_postgres_dsn: str, shared_redis_url: str) -> AsyncIterator[Api]:
    """One for all: to start it takes longer than what most of these tests ask."""
    async with asking(shared_postgres_dsn, shared_redis_url, NOW, date(2024, 12, 1)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def api(asked: Api) -> Api:
    """A workspace of the test's own."""
    return replace(asked, workspace=await asked.here.workspace())


async def test_the_series_as_the_document_prints_it(api: Api) -> None:
    await api.here.add(
        api.workspace,
        Fact(
            datetime(2025, 1, 15, 9, tzinfo=UTC),
            # Opens are not what Optail calls opened, and a soft bounce is a bounce as a hard one is.
            counters={"sent": 1420, "delivered": 1385, "unique_opens": 612, "unique_clicks": 89, "hard_bounced": 30}
            | {"soft_bounced": 5, "complained": 2, "unsubscribed": 8, "human_opens": 900, "human_clicks": 90},
        ),
        Fact(
            datetime(2025, 1, 16, 23, 59, tzinfo=UTC),
            counters={"sent": 1510, "delivered": 1490, "unique_opens": 701, "unique_clicks": 102, "hard_bounced": 20}
            | {"complained": 1, "unsubscribed": 5, "unique_unsubscribed": 4, "machine_opens": 3000},
        ),
        Fact(datetime(2025, 1, 17, tzinfo=UTC), counters={"sent": 7}),
    )
    assert await api.text("/v1/metrics?from=2025-01-15T00:00:00Z&to=2025-01-17T00:00:00Z&granularity=day") == (
        '{"data":[{"timestamp":"2025-01-15 00:00:00","sent":1420,"delivered":1385,"opened":612,"clicked":89,'
        '"bounced":35,"complained":2,"unsubscribed":8},{"timestamp":"2025-01-16 00:00:00","sent":1510,'
        '"delivered":1490,"opened":701,"clicked":102,"bounced":20,"complained":1,"unsubscribed":5}],'
        '"query":{"from":"2025-01-15T00:00:00Z","to":"2025-01-17T00:00:00Z","granularity":"day"}}'
    )


async def january(api: Api) -> None:
    await api.here.add(
        api.workspace,
        Fact(
            datetime(2025, 1, 31, 23, 59, 59, tzinfo=UTC),
            provider="SENDGRID",
            domain="a.example",
            counters=stored(SENDGRID) | {"unsubscribed": 40},
        ),
        Fact(
            datetime(2025, 1, 1, tzinfo=UTC),
            provider="POSTMARK",
            domain="b.example",
            template="welcome",
            counters=stored(POSTMARK) | {"unsubscribed": 2},
        ),
        Fact(datetime(2025, 2, 1, tzinfo=UTC), provider="POSTMARK", counters={"sent": 1}),
        Fact(datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC), provider="SES", counters={"sent": 1}),
    )


IN_JANUARY = "from=2025-01-01T00:00:00Z&to=2025-01-31T23:59:59Z"


async def test_the_breakdown_as_the_document_prints_it(api: Api) -> None:
    await january(api)
    assert await api.text(f"/v1/metrics/breakdown?{IN_JANUARY}&groupBy=provider") == (
        '{"data":[{"name":"SENDGRID","sent":8500,"delivered":8350,"opened":3200,"clicked":480,"bounced":150,'
        '"complained":12},{"name":"POSTMARK","sent":3200,"delivered":3180,"opened":1450,"clicked":210,"bounced":20,'
        '"complained":3}],"query":{"from":"2025-01-01T00:00:00Z","to":"2025-01-31T23:59:59Z","groupBy":"provider"}}'
    )


async def test_the_summary_as_the_document_prints_it(api: Api) -> None:
    await january(api)
    assert await api.text(f"/v1/metrics/summary?{IN_JANUARY}") == (
        '{"data":{"totalSent":11700,"totalDelivered":11530,"totalOpened":4650,"totalClicked":690,"totalBounced":170,'
        '"totalComplained":15,"totalUnsubscribed":42,"deliveryRate":0.9855,"openRate":0.4033,"clickRate":0.1484,'
        '"bounceRate":0.0145,"complaintRate":0.0013},'
        '"period":{"from":"2025-01-01T00:00:00Z","to":"2025-01-31T23:59:59Z"}}'
    )


async def test_the_document_s_curl_has_a_row_for_every_day(api: Api) -> None:
    await january(api)
    data = (await api.ok(f"/v1/metrics?{IN_JANUARY}&granularity=day"))["data"]
    assert [row["timestamp"] for row in data] == [f"2025-01-{day:02} 00:00:00" for day in range(1, 32)]
    assert [row["sent"] for row in data] == [3200, *[0] * 29, 8500]
    assert data[1] == {"timestamp": "2025-01-02 00:00:00", **dict.fromkeys(COUNTED, 0)}


async def test_the_defaults_are_the_last_30_days_by_day_and_provider(api: Api) -> None:
    first = NOW - timedelta(days=30)
    await api.here.add(
        api.workspace,
        Fact(first - timedelta(minutes=5), counters={"sent": 1}),  # the quarter-hour it starts in
        Fact(first - timedelta(minutes=6), counters={"sent": 10}),
        Fact(NOW + timedelta(minutes=9), counters={"sent": 100}),
        Fact(NOW + timedelta(minutes=10), counters={"sent": 1000}),
    )
    said = {"from": "2025-01-11T10:20:30Z", "to": "2025-02-10T10:20:30Z"}
    series = await api.ok("/v1/metrics")
    assert series["query"] == {**said, "granularity": "day"}
    assert [series["data"][i]["timestamp"] for i in (0, -1)] == ["2025-01-11 00:00:00", "2025-02-10 00:00:00"]
    assert [row["sent"] for row in series["data"]] == [1, *[0] * 29, 100]
    breakdown = await api.ok("/v1/metrics/breakdown")
    assert breakdown["query"] == {**said, "groupBy": "provider"}
    assert [(row["name"], row["sent"]) for row in breakdown["data"]] == [("unknown", 101)]
    summary = await api.ok("/v1/metrics/summary")
    assert (summary["period"], summary["data"]["totalSent"]) == (said, 101)


@pytest.mark.parametrize(
    ("granularity", "first", "n"),
    [
        ("hour", "2025-01-15 22:00:00", 50),
        ("day", "2025-01-15 00:00:00", 3),
        ("week", "2025-01-13 00:00:00", 1),
        ("month", "2025-01-01 00:00:00", 1),
    ],
)
async def test_a_bucket_is_listed_if_it_starts_before_the_end(api: Api, granularity: str, first: str, n: int) -> None:
    await api.here.add(
        api.workspace,
        Fact(datetime(2025, 1, 15, 22, 29, tzinfo=UTC), counters={"sent": 100}),
        Fact(datetime(2025, 1, 15, 22, 30, tzinfo=UTC), counters={"sent": 1}),
        Fact(datetime(2025, 1, 17, 23, 59, tzinfo=UTC), counters={"sent": 2}),
        Fact(datetime(2025, 1, 18, 0, 0, tzinfo=UTC), counters={"sent": 100}),
    )
    path = f"/v1/metrics?from=2025-01-15T22:31:00Z&to=2025-01-17T23:46:00Z&granularity={granularity}"
    data = (await api.ok(path))["data"]
    assert (data[0]["timestamp"], len(data), sum(row["sent"] for row in data)) == (first, n, 3)


UNDERSTOOD = [
    ("from=2025-01-05&to=2025-01-06", "2025-01-05T00:00:00Z", "2025-01-06T23:59:59Z"),
    ("from=2025-01-05T02:00:00%2B02:00&to=2025-01-06T01:02:03.9Z", "2025-01-05T00:00:00Z", "2025-01-06T01:02:03Z"),
    ("from=2025-01-05", "2025-01-05T00:00:00Z", "2025-02-10T10:20:30Z"),
    ("to=2025-02-01", "2025-01-11T10:20:30Z", "2025-02-01T23:59:59Z"),
    ("from=2025-02-10&to=2025-02-10T00:00:00Z", "2025-02-10T00:00:00Z", "2025-02-10T00:00:00Z"),
]


async def test_the_range_is_said_as_it_was_understood(api: Api) -> None:
    for query, start, end in UNDERSTOOD:
        assert (await api.ok(f"/v1/metrics/summary?{query}"))["period"] == {"from": start, "to": end}


async def test_a_date_as_end_is_that_whole_day(api: Api) -> None:
    await api.here.add(api.workspace, Fact(datetime(2025, 1, 6, 23, 59, tzinfo=UTC), counters={"sent": 1}))
    assert (await api.ok("/v1/metrics/summary?from=2025-01-05&to=2025-01-06"))["data"]["totalSent"] == 1


async def test_an_empty_range_is_empty(api: Api) -> None:
    await api.here.add(api.workspace, Fact(datetime(2025, 1, 5, 1, tzinfo=UTC), counters={"sent": 1}))
    nothing = "from=2025-01-05T01:02:00Z&to=2025-01-05T01:02:00Z"
    assert (await api.ok(f"/v1/metrics?{nothing}"))["data"] == []
    assert (await api.ok(f"/v1/metrics/breakdown?{nothing}"))["data"] == []
    summary = (await api.ok(f"/v1/metrics/summary?{nothing}"))["data"]
    assert set(summary.values()) == {0}


@pytest.mark.parametrize(("group_by", "names"), [("domain", ["a.example", "b.example"]), ("template", ["", "welcome"])])
async def test_the_breakdown_by_something_else(api: Api, group_by: str, names: list[str]) -> None:
    await january(api)
    data = (await api.ok(f"/v1/metrics/breakdown?{IN_JANUARY}&groupBy={group_by}"))["data"]
    assert data == [
        {"name": names[0] or "unknown", **SENDGRID},
        {"name": names[1], **POSTMARK},
    ]


async def test_groups_without_a_name_or_a_count(api: Api) -> None:
    at = datetime(2025, 1, 5, tzinfo=UTC)
    await api.here.add(
        api.workspace,
        Fact(at, template="", counters={"sent": 1, "delivered": 1}),
        Fact(at, template="unknown", counters={"sent": 2}),
        Fact(at, template="b", counters={"sent": 3}),
        Fact(at, template="a", counters={"sent": 3}),
        Fact(at, template="only received", counters={"received": 9, "unsubscribed": 1}),
    )
    data = (await api.ok(f"/v1/metrics/breakdown?{IN_JANUARY}&groupBy=template"))["data"]
    assert [(row["name"], row["sent"], row["delivered"]) for row in data] == [
        ("a", 3, 0),
        ("b", 3, 0),
        ("unknown", 3, 1),
    ]


async def test_a_domain_admin_sees_its_domains_in_totals_too(api: Api) -> None:
    await january(api)
    mine = api.confined("b.example").headers
    assert (await api.ok(f"/v1/metrics/summary?{IN_JANUARY}", mine))["data"]["totalSent"] == 3200
    assert sum(row["sent"] for row in (await api.ok(f"/v1/metrics?{IN_JANUARY}", mine))["data"]) == 3200
    breakdown = (await api.ok(f"/v1/metrics/breakdown?{IN_JANUARY}&groupBy=domain", mine))["data"]
    assert [row["name"] for row in breakdown] == ["b.example"]
    assert (await api.ok(f"/v1/metrics/summary?{IN_JANUARY}", api.confined().headers))["data"]["totalSent"] == 0


async def test_another_workspace_is_never_counted(api: Api) -> None:
    await january(api)
    other = sealed(await api.here.workspace())
    assert (await api.ok(f"/v1/metrics/summary?{IN_JANUARY}", other))["data"]["totalSent"] == 0
    assert (await api.ok(f"/v1/metrics/breakdown?{IN_JANUARY}", other))["data"] == []


MISTAKES = [
    ("/v1/metrics?granularity=minute", "granularity"),
    ("/v1/metrics?granularity=", "granularity"),
    ("/v1/metrics?granularity=DAY", "granularity"),
    ("/v1/metrics?granularity=day&granularity=day", "granularity"),
    ("/v1/metrics?granularity=day%00", "granularity"),
    ("/v1/metrics/breakdown?groupBy=campaign", "groupBy"),
    ("/v1/metrics/breakdown?groupBy=", "groupBy"),
    ("/v1/metrics/breakdown?groupBy=provider;DROP+TABLE+series", "groupBy"),
    ("/v1/metrics/summary?from=2025-01-01T00:00:00", "from"),
    ("/v1/metrics/summary?from=2025-01-01T00:00:60Z", "from"),
    ("/v1/metrics/summary?from=2025-02-29", "from"),
    ("/v1/metrics/summary?from=", "from"),
    ("/v1/metrics/summary?from=yesterday", "from"),
    ("/v1/metrics/summary?from=0000-01-01", "from"),
    ("/v1/metrics/summary?to=9999-12-31", "to"),
    ("/v1/metrics/summary?from=2025-01-02T00:00:00Z&to=2025-01-01T00:00:00Z", "to"),
    ("/v1/metrics/summary?from=2025-02-11", "from"),
    ("/v1/metrics/summary?to=2024-12-01", "to"),
    ("/v1/metrics/summary?from=2000-01-01&to=2025-01-01", "from"),
    ("/v1/metrics/summary?from=%ff", "from"),
]


async def test_each_mistake_is_explained_in_optail_s_envelope(api: Api) -> None:
    for path, name in MISTAKES:
        status, answer = await api.get(path)
        assert (status, answer["error"]["code"]) == (400, "INVALID_PARAMETER"), answer
        assert answer["error"]["message"].startswith(name)
        assert (list(answer), list(answer["error"])) == (["error"], ["code", "message"])


async def test_too_many_buckets_are_refused(api: Api) -> None:
    status, answer = await api.get("/v1/metrics?granularity=hour&from=2020-01-01&to=2025-01-01")
    assert (status, answer["error"]["code"]) == (400, "RESULT_TOO_LARGE")


async def test_the_scope_is_needed(api: Api) -> None:
    for path in ("/v1/metrics", "/v1/metrics/breakdown", "/v1/metrics/summary", "/v1/messages", "/v1/messages/x"):
        status, answer = await api.get(path, sealed(api.workspace, scopes=["track"]))
        assert (status, answer["error"]["code"]) == (403, "FORBIDDEN")


async def test_every_metric_is_named_once() -> None:
    from postmeter.query.documents.optail import metrics
    from postmeter.shared.apis.documents.optail import Bucket, Group

    shown: Any = {"unique_opens": "opened", "unique_clicks": "clicked"}
    assert tuple(shown.get(name, name) for name in metrics.COUNTED) == Bucket.__struct_fields__[1:]
    assert tuple(shown.get(name, name) for name in metrics.GROUPED) == Group.__struct_fields__[1:]
