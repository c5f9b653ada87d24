"""Vectis over real HTTP, field by field as its document prints it."""

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import redis

from postmeter.query.documents import vectis
from postmeter.shared.auth import principal
from postmeter.shared.stream import live_totals, streams
from postmeter.shared.stream.live_totals import LiveTotals
from tests.integration import query_api
from tests.integration.running_query import Fact, query_service, sealed

NOW = datetime(2025, 5, 20, 10, 20, 30, tzinfo=UTC)
FIRST = uuid.UUID("0192abc0-def1-7000-8000-000000000001")
SECOND = uuid.UUID("0192abc0-def1-7000-8000-000000000002")
METRICS = ["sent", "received", "bounced", "spam", "failed", "size_bytes"]


class Api(query_api.Api):
    async def data(self, path: str, headers: dict[str, str] | None = None) -> Any:
        status, answer = await self.get(path, headers)
        assert status == 200, answer
        return answer["data"]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(shared_postgres_dsn: str, shared_redis_url: str) -> AsyncIterator[Api]:
    """One for all: to start it takes longer than what most of these tests ask."""
    async with query_api.asking(shared_postgres_dsn, shared_redis_url, NOW, date(2025, 4, 1), Api) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def api(asked: Api) -> Api:
    """A workspace of the test's own."""
    return replace(asked, workspace=await asked.here.workspace())


@pytest.mark.parametrize(
    "name", ["start_date", "group_by", "from", "to", "groupBy", "timeRange", "days", "campaign_id"]
)
async def test_a_parameter_that_only_another_document_has_is_refused(api: Api, name: str) -> None:
    status, answer = await api.get(f"/api/v1/analytics?period=7d&{name}=2025-01-01")
    assert (status, answer["error"]["code"]) == (400, "INVALID_PARAMETER")
    assert name in answer["error"]["message"]
    assert "domain_id, granularity, period" in answer["error"]["message"]
    status, answer = await api.get(f"/api/v1/tracking/stats?{name}=2025-01-01")
    assert (status, answer["error"]["code"]) == (400, "INVALID_PARAMETER")
    assert answer["error"]["message"].endswith("which takes none.")
    assert (await api.get("/api/v1/analytics?period=7d&nobody=1"))[0] == 200


async def the_document_s_example(api: Api) -> None:
    await api.here.domain(api.workspace, "example.com", FIRST)
    await api.here.domain(api.workspace, "company.org", SECOND)
    hour = timedelta(hours=1)
    await api.here.add(
        api.workspace,
        Fact(
            NOW,
            domain="example.com",
            counters={
                "sent": 1200,
                "received": 3000,
                "hard_bounced": 10,
                "soft_bounced": 8,
                "spam": 142,
                "size_bytes": 10**9,
            },
        ),
        Fact(
            NOW - 26 * hour,
            domain="example.com",
            counters={"received": 100, "failed": 3, "size_bytes": 1610612736 - 10**9, "human_opens": 5},
        ),
        Fact(
            NOW - 50 * hour,
            domain="company.org",
            counters={
                "sent": 342,
                "received": 791,
                "soft_bounced": 5,
                "spam": 45,
                "failed": 2,
                "size_bytes": 536870912,
            },
        ),
    )


async def test_all_domains_as_the_document_prints_them(api: Api) -> None:
    await the_document_s_example(api)
    headers = sealed(api.workspace)
    async with api.session.get(f"{api.url}/api/v1/analytics?period=7d", headers=headers) as answer:
        text = await answer.text()
    meta = re.search(r',"meta":\{"request_id":"the-request","timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"\}\}$', text)
    assert meta is not None
    # Every field in the document's order, numbers as it writes them.
    assert text[: meta.start()] == (
        '{"data":{"period":"7d","totals":{"sent":1542,"received":3891,"bounced":23,"spam":187,"failed":5,'
        '"size_bytes":2147483648,"bounce_rate":1.49,"spam_rate":4.81},"domains":['
        '{"domain_id":"0192abc0-def1-7000-8000-000000000001","domain_name":"example.com","sent":1200,"received":3100,'
        '"bounced":18,"spam":142,"failed":3,"size_bytes":1610612736},'
        '{"domain_id":"0192abc0-def1-7000-8000-000000000002","domain_name":"company.org","sent":342,"received":791,'
        '"bounced":5,"spam":45,"failed":2,"size_bytes":536870912}]}'
    )


async def test_an_empty_workspace_has_zeros_and_no_domains(api: Api) -> None:
    data = await api.data("/api/v1/analytics")
    assert data == {
        "period": "24h",
        "totals": {**dict.fromkeys(METRICS, 0), "bounce_rate": 0, "spam_rate": 0},
        "domains": [],
    }


async def test_a_domain_without_activity_in_the_window_is_listed_with_zeros(api: Api) -> None:
    await the_document_s_example(api)
    domains = (await api.data("/api/v1/analytics?period=24h"))["domains"]
    assert [d["domain_name"] for d in domains] == ["example.com", "company.org"]
    assert {m: domains[1][m] for m in METRICS} == dict.fromkeys(METRICS, 0)


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("1h", "2025-05-20T09:30:00+00:00", "2025-05-20T10:29:59+00:00"),
        ("24h", "2025-05-19T11:00:00+00:00", "2025-05-20T10:59:59+00:00"),
        ("7d", "2025-05-14T00:00:00+00:00", "2025-05-20T23:59:59+00:00"),
        ("30d", "2025-04-21T00:00:00+00:00", "2025-05-20T23:59:59+00:00"),
    ],
)
async def test_a_window_holds_whole_buckets_up_to_the_present_one(api: Api, period: str, first: str, last: str) -> None:
    inside = [datetime.fromisoformat(first), datetime.fromisoformat(last)]
    outside = [inside[0] - timedelta(seconds=1), inside[1] + timedelta(seconds=1)]
    domain_id = await api.here.domain(api.workspace, "example.com")
    await api.here.add(api.workspace, *(Fact(at, counters={"sent": 1}) for at in inside))
    await api.here.add(api.workspace, *(Fact(at, counters={"sent": 100}) for at in outside))
    assert (await api.data(f"/api/v1/analytics?period={period}"))["totals"]["sent"] == 2
    for granularity in ("hourly", "daily"):
        path = f"/api/v1/analytics?period={period}&domain_id={domain_id}&granularity={granularity}"
        assert sum(point["sent"] for point in (await api.data(path))["stats"]) == 2


async def test_an_hourly_series_as_the_document_prints_it(api: Api) -> None:
    await the_document_s_example(api)
    data = await api.data(f"/api/v1/analytics?domain_id={FIRST}&period=24h&granularity=hourly")
    assert list(data) == ["domain_id", "period", "granularity", "stats"]
    assert (data["domain_id"], data["period"], data["granularity"]) == (str(FIRST), "24h", "hourly")
    assert len(data["stats"]) == 24
    assert list(data["stats"][0]) == ["timestamp", *METRICS]
    assert [p["timestamp"] for p in data["stats"]] == [
        (datetime(2025, 5, 19, 11, tzinfo=UTC) + timedelta(hours=n)).strftime("%Y-%m-%dT%H:00:00Z") for n in range(24)
    ]
    assert data["stats"][-1] == {
        "timestamp": "2025-05-20T10:00:00Z",
        "sent": 1200,
        "received": 3000,
        "bounced": 18,
        "spam": 142,
        "failed": 0,
        "size_bytes": 10**9,
    }
    assert not any(point[m] for point in data["stats"][:-1] for m in METRICS)


async def test_a_daily_series_as_the_document_prints_it(api: Api) -> None:
    await the_document_s_example(api)
    data = await api.data(f"/api/v1/analytics?domain_id={SECOND}&period=30d&granularity=daily")
    assert len(data["stats"]) == 30
    assert list(data["stats"][0]) == ["date", *METRICS]
    assert [p["date"] for p in data["stats"]] == sorted({p["date"] for p in data["stats"]})
    assert (data["stats"][0]["date"], data["stats"][-1]["date"]) == ("2025-04-21", "2025-05-20")
    assert [p for p in data["stats"] if p["sent"]] == [
        {
            "date": "2025-05-18",
            "sent": 342,
            "received": 791,
            "bounced": 5,
            "spam": 45,
            "failed": 2,
            "size_bytes": 536870912,
        }
    ]


async def test_the_defaults_are_24h_and_hourly(api: Api) -> None:
    domain_id = await api.here.domain(api.workspace, "example.com")
    data = await api.data(f"/api/v1/analytics?domain_id={str(domain_id).upper()}")
    assert (data["period"], data["granularity"], len(data["stats"])) == ("24h", "hourly", 24)
    assert data["domain_id"] == str(domain_id)


async def test_an_hour_in_hourly_points_is_clipped_by_its_window(api: Api) -> None:
    domain_id = await api.here.domain(api.workspace, "example.com")
    at = datetime(2025, 5, 20, 9, tzinfo=UTC)
    await api.here.add(api.workspace, *(Fact(at + timedelta(minutes=15 * n), counters={"sent": 1}) for n in range(8)))
    stats = (await api.data(f"/api/v1/analytics?domain_id={domain_id}&period=1h"))["stats"]
    assert [(p["timestamp"], p["sent"]) for p in stats] == [("2025-05-20T09:00:00Z", 2), ("2025-05-20T10:00:00Z", 2)]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("period=2h", 400, "INVALID_PERIOD"),
        ("period=", 400, "INVALID_PERIOD"),
        ("period=24H", 400, "INVALID_PERIOD"),
        ("period=24h'%3B+DROP+TABLE+domain--", 400, "INVALID_PERIOD"),
        ("period=2h&domain_id={mine}", 400, "INVALID_PERIOD"),
        ("period=1h&period=7d", 400, "INVALID_PARAMETER"),
        ("domain_id={mine}&granularity=weekly", 400, "INVALID_GRANULARITY"),
        ("domain_id={mine}&granularity=", 400, "INVALID_GRANULARITY"),
        ("domain_id=", 400, "INVALID_DOMAIN_ID"),
        ("domain_id=example.com", 400, "INVALID_DOMAIN_ID"),
        ("domain_id={{{mine}}}", 400, "INVALID_DOMAIN_ID"),
        ("domain_id=%00", 400, "INVALID_DOMAIN_ID"),
        ("domain_id={mine}%0a", 400, "INVALID_DOMAIN_ID"),
        ("domain_id={unknown}", 404, "NOT_FOUND"),
        ("domain_id={theirs}", 404, "NOT_FOUND"),
    ],
)
async def test_each_error_of_the_document(api: Api, query: str, status: int, code: str) -> None:
    mine = await api.here.domain(api.workspace, "example.com")
    theirs = await api.here.domain(await api.here.workspace(), "example.com")
    path = query.replace("{{{mine}}}", f"%7B{mine}%7D").format(mine=mine, theirs=theirs, unknown=uuid.uuid4())
    found, answer = await api.get(f"/api/v1/analytics?{path}")
    assert (found, answer["error"]["code"]) == (status, code)
    assert list(answer) == ["error", "meta"]
    assert list(answer["error"]) == ["code", "message"]
    assert answer["meta"]["request_id"] == "the-request"


async def test_granularity_is_not_looked_at_without_a_domain(api: Api) -> None:
    await api.data("/api/v1/analytics?granularity=weekly")


async def test_another_workspace_is_never_counted(api: Api) -> None:
    other = await api.here.workspace()
    mine = await api.here.domain(api.workspace, "example.com")
    await api.here.domain(other, "example.com")
    await api.here.domain(other, "secret.example")
    await api.here.add(other, Fact(NOW, counters={"sent": 5}))
    data = await api.data("/api/v1/analytics")
    assert (data["totals"]["sent"], [d["domain_name"] for d in data["domains"]]) == (0, ["example.com"])
    stats = (await api.data(f"/api/v1/analytics?domain_id={mine}"))["stats"]
    assert sum(p["sent"] for p in stats) == 0


async def test_a_domain_admin_sees_its_domains_in_totals_too(api: Api) -> None:
    await the_document_s_example(api)
    headers = sealed(api.workspace, role="domain_admin", domains=["company.org"])
    data = await api.data("/api/v1/analytics?period=7d", headers)
    assert [d["domain_name"] for d in data["domains"]] == ["company.org"]
    assert {m: data["totals"][m] for m in METRICS} == {m: data["domains"][0][m] for m in METRICS}
    assert (data["totals"]["bounce_rate"], data["totals"]["spam_rate"]) == (1.46, 5.69)
    own = await api.data(f"/api/v1/analytics?domain_id={SECOND}&period=7d", headers)
    assert sum(p["sent"] for p in own["stats"]) == 342


async def test_any_other_domain_is_forbidden_to_a_domain_admin(api: Api) -> None:
    await the_document_s_example(api)
    theirs = await api.here.domain(await api.here.workspace(), "company.org")
    headers = sealed(api.workspace, role="domain_admin", domains=["company.org"])
    answers = [await api.get(f"/api/v1/analytics?domain_id={d}", headers) for d in (FIRST, theirs, uuid.uuid4())]
    assert [(status, answer["error"]) for status, answer in answers] == [
        (403, {"code": "FORBIDDEN", "message": "No access to the requested domain."})
    ] * 3


async def test_the_live_totals(api: Api, shared_redis_url: str) -> None:
    created = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    workspace = await api.here.workspace(created_at=created)
    for shard in (0, 3):
        await commit_live(api, shard, 9, workspace)
    with redis.Redis.from_url(shared_redis_url) as client:
        for shard in (0, 1, 3):  # of 1 nothing is committed: it was published before Postgres was set back to a copy
            totals = LiveTotals(
                opens=10, unique_opens=4, clicks=3, unique_clicks=2, machine_opens=7, machine_clicks=shard
            )
            client.hset(streams.live(workspace), str(shard), live_totals.encode(totals))
    data = await api.data("/api/v1/tracking/stats", sealed(workspace))
    assert list(data.items()) == [
        ("opens", 20),
        ("unique_opens", 8),
        ("clicks", 6),
        ("unique_clicks", 4),
        ("machine_opens", 14),
        ("machine_clicks", 3),
        ("since", "2025-01-02T03:04:05Z"),
    ]
    assert (await api.data("/api/v1/tracking/stats"))["opens"] == 0


async def commit_live(api: Api, shard: int, opens: int, workspace: int | None = None) -> None:
    of = workspace or api.workspace
    await api.here.pool.execute(
        "INSERT INTO live_total (workspace, shard, opens) VALUES ($1, $2, $3)", of, shard, opens
    )


async def test_live_totals_outlive_a_lost_redis(api: Api, shared_redis_url: str) -> None:
    await commit_live(api, 0, 5)
    await commit_live(api, 1, 6)
    assert (await api.data("/api/v1/tracking/stats"))["opens"] == 11
    with redis.Redis.from_url(shared_redis_url) as client:  # came back, and one shard was published since
        client.hset(streams.live(api.workspace), "1", live_totals.encode(LiveTotals(opens=8)))
        assert (await api.data("/api/v1/tracking/stats"))["opens"] == 13
        client.hset(streams.live(api.workspace), "1", b"not ours")
        assert (await api.data("/api/v1/tracking/stats"))["opens"] == 11


async def test_live_totals_do_without_redis(api: Api) -> None:
    await commit_live(api, 0, 5)
    async with query_service(api.here, "redis://127.0.0.1:1", NOW) as api.url:
        assert (await api.data("/api/v1/tracking/stats"))["opens"] == 5


@pytest.mark.parametrize(("role", "status"), [("super_admin", 200), ("admin", 200), ("member", 403)])
async def test_live_totals_are_for_admins(api: Api, role: str, status: int) -> None:
    assert (await api.get("/api/v1/tracking/stats", sealed(api.workspace, role=role)))[0] == status
    domain_admin = sealed(api.workspace, role="domain_admin", domains=["example.com"])
    assert (await api.get("/api/v1/tracking/stats", domain_admin))[0] == 403


async def test_only_the_gateway_is_believed(api: Api) -> None:
    for headers in ({}, {principal.HEADER: "forged.forged"}):
        status, answer = await api.get("/api/v1/analytics", headers)
        assert (status, answer["error"]["code"], list(answer)) == (401, "UNAUTHORIZED", ["error", "meta"])
    assert (await api.get("/api/v1/analytics", sealed(api.workspace, scopes=["track"])))[0] == 403


async def test_a_key_may_name_many_domains_and_a_url_be_long(api: Api) -> None:
    await the_document_s_example(api)
    domains = [f"a-rather-long-name-{n}.example.com" for n in range(2000)] + ["company.org"]
    headers = sealed(api.workspace, role="domain_admin", domains=domains)
    data = await api.data(f"/api/v1/analytics?period=7d&x={'y' * 30_000}", headers)
    assert (data["totals"]["sent"], len(data["domains"])) == (342, 1)


async def test_more_domains_than_one_answer_holds_are_asked_for_one_by_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectis, "MOST_DOMAINS", 1)
    await the_document_s_example(api)
    status, answer = await api.get("/api/v1/analytics")
    assert (status, answer["error"]["code"]) == (400, "RESULT_TOO_LARGE")
    assert (await api.get(f"/api/v1/analytics?domain_id={FIRST}"))[0] == 200
