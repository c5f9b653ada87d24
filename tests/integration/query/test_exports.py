"""Workspaces' exports over real HTTP: what is in them, who may have them, how they fail."""

import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from postmeter.query.exports import jobs
from postmeter.query.exports.links import Links
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.auth import principal
from postmeter.shared.auth.secret import Secret
from tests.integration.export_service import NAME, Api, exporting, message, noon, series
from tests.integration.running_query import Fact, sealed
from tests.waiting import until


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with exporting(postgres_dsn, redis_url, tmp_path) as made:
        yield made


async def test_the_document_s_example_runs_from_order_to_download(api: Api) -> None:
    await message(api.here, api.workspace, campaign="cmp_abc123")
    body = {
        "export_type": "campaign_performance",
        "format": "csv",
        "time_range": "30d",
        "campaign_ids": ["cmp_abc123"],
        "include_time_series": True,
    }
    status, answer = await api.ask("POST", "/export", body)
    assert (status, list(answer)) == (200, ["success", "data"])
    ordered = answer["data"]
    assert list(ordered) == ["export_id", "status", "estimated_completion", "download_url"]
    assert (ordered["status"], ordered["download_url"]) == ("processing", None)
    assert re.fullmatch(r"exp_[0-9a-f]{32}", ordered["export_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", ordered["estimated_completion"])

    status, answer = await api.ended(ordered["export_id"])
    done = answer["data"]
    fields = ["export_id", "status", "format", "file_size_bytes", "created_at", "completed_at", "download_url"]
    assert (status, list(done)) == (200, [*fields, "expires_at", "progress"])
    assert (done["export_id"], done["status"], done["format"]) == (ordered["export_id"], "completed", "csv")
    lives = datetime.fromisoformat(done["expires_at"]) - datetime.fromisoformat(done["completed_at"])
    assert lives == timedelta(hours=1)
    assert done["progress"] == 100
    assert done["download_url"].startswith(f"https://gateway.example/api/v1/workspaces/{NAME}/analytics/exports/exp_")

    file = await api.download(done["download_url"])
    assert len(file) == done["file_size_bytes"]
    lines = file.decode().split("\r\n")
    assert lines[0].startswith("row,campaign_id,campaign_name,date,emails_sent,emails_delivered,")
    assert lines[1] == '"summary","cmp_abc123","cmp_abc123",,1,1,0,0,0,0,0,0,100.00,0.00,0.00,0,0.00,0.00,0.00,0.00'
    assert lines[-1] == ""
    days = [line.split(",")[3:6] for line in lines[2:-1]]
    assert len(days) == 31
    assert [day for day in days if day[1] != "0"] == [[noon().date().isoformat(), "1", "1"]]


async def test_all_campaigns_without_a_series_are_a_row_each(api: Api) -> None:
    for campaign in ("a", "b"):
        await message(api.here, api.workspace, campaign=campaign)
    nulls = dict.fromkeys(("format", "time_range", "campaign_ids", "include_time_series"))  # as if they were not there
    rows = await api.rows(export_type="campaign_performance", **nulls)
    assert [(r["row"], r["campaign_id"], r["emails_sent"]) for r in rows] == [
        ("summary", "a", "1"),
        ("summary", "b", "1"),
    ]


async def test_the_reports_are_flat_rows_of_the_same_numbers(api: Api) -> None:
    at = noon()
    await message(api.here, api.workspace, at=at)
    counters = {"sent": 9, "delivered": 7, "hard_bounced": 2, "unique_opens": 3, "human_opens": 3}
    await api.here.add(api.workspace, Fact(at, "spring", "shop.example", "SENDGRID", counters=counters))
    number = await series(api.here, api.workspace, "spring", "shop.example")
    for one in (0, number):
        await api.here.pool.execute(
            "INSERT INTO cohort_sent_15m VALUES ($1, $2, $3, 10, 3, 0, 0)", api.workspace, one, at
        )
        await api.here.pool.execute(
            "INSERT INTO bounce_reason_1d VALUES ($1, $2, $3, 'Mailbox full', 2)",
            api.workspace,
            one,
            at.replace(hour=0),
        )
    for campaigns in ([], ["spring"]):
        for name, path in (("deliverability", "deliverability"), ("engagement_heatmap", "engagement-heatmap")):
            query = f"?campaignId={campaigns[0]}" if campaigns else ""
            status, report = await api.ask("GET", f"/{path}{query}")
            assert status == 200
            rows = await api.rows(export_type=name, campaign_ids=campaigns)
            assert {r["campaign_id"] for r in rows} == {campaigns[0] if campaigns else ""}
            (_deliverability if name == "deliverability" else _heatmap)(rows, report["data"])
    status, report = await api.ask("GET", "/overview")
    rows = await api.rows(export_type="overview")
    assert [r["row"] for r in rows] == ["summary", "top_campaign"]
    for name, value in (report["data"]["summary"] | report["data"]["rates"]).items():
        assert Decimal(rows[0][name]) == Decimal(str(value)), name
    assert Decimal(rows[1]["open_rate"]) == Decimal("37.50")


def _deliverability(rows: list[dict[str, str]], data: Any) -> None:
    analysis = data["bounce_analysis"]
    for name, value in (data["overall"] | analysis).items():
        if name != "top_bounce_reasons":
            assert Decimal(rows[0][name]) == Decimal(str(value)), name
    assert [(r["reason"], int(r["count"])) for r in rows if r["row"] == "bounce_reason"] == [("Mailbox full", 2)]
    days = [(r["date"], int(r["health_score"])) for r in rows if r["row"] == "reputation"]
    assert days == [(point["date"], point["score"]) for point in data["reputation_trend"]]
    assert (rows[0]["any_ip_blacklisted"], rows[0]["ips_checked"], rows[0]["last_check"]) == ("false", "0", "")


def _heatmap(rows: list[dict[str, str]], data: Any) -> None:
    best, *cells = rows
    assert (best["row"], int(best["hour"])) == ("optimal_send_time", data["optimal_send_time"]["hour"])
    assert [
        (r["day_of_week"], r["time_period"], int(r["emails_sent"]), Decimal(r["engagement_score"])) for r in cells
    ] == [
        (c["day_of_week"], c["time_period"], c["emails_sent"], Decimal(str(c["engagement_score"])))
        for c in data["heatmap"]
    ]


@pytest.mark.parametrize(
    "export_type",
    ["campaign_performance", "overview", "deliverability", "engagement_heatmap", "messages", "events"],
)
async def test_nothing_to_export_is_insufficient_data(api: Api, export_type: str) -> None:
    await message(api.here, api.workspace, at=noon(60))
    assert await api.failed(export_type=export_type) == "insufficient data"
    assert api.files() == []
    await until(lambda: api.is_counted("refused"))
    assert await api.counted("refused") == 1


async def test_an_unknown_campaign_is_named(api: Api) -> None:
    other = await api.here.workspace()
    await message(api.here, other, campaign="theirs")
    for export_type in ("messages", "campaign_performance"):
        for campaign in ("theirs", "nobody's"):
            reason = await api.failed(export_type=export_type, campaign_ids=[campaign])
            assert reason == f"Campaign with ID {campaign} not found in workspace {NAME}"


async def test_a_domain_admin_s_export_holds_its_domains(api: Api) -> None:
    await message(api.here, api.workspace, domain="shop.example", campaign="a")
    await message(api.here, api.workspace, domain="other.example", campaign="b")
    confined = api.seen_as(role="domain_admin", domains=["shop.example"])
    for export_type in ("messages", "events", "campaign_performance"):
        assert {r["campaign_id"] for r in await api.rows(export_type=export_type)} == {"a", "b"}
        assert {r["campaign_id"] for r in await confined.rows(export_type=export_type)} == {"a"}
    assert (await confined.failed(export_type="messages", campaign_ids=["b"])).startswith("Campaign with ID b not")
    assert (await confined.rows(export_type="overview"))[0]["emails_sent"] == "1"
    nothing = api.seen_as(role="domain_admin", domains=[])
    assert await nothing.failed(export_type="messages") == "insufficient data"


async def test_who_may_not_see_an_export_s_rows_may_not_see_the_export(api: Api) -> None:
    await message(api.here, api.workspace)
    whole = await api.order(export_type="messages")
    confined = api.seen_as(role="domain_admin", domains=["shop.example", "other.example"])
    theirs = await confined.order(export_type="messages")
    assert (await api.ended(theirs))[0] == (await confined.ended(theirs))[0] == (await api.ended(whole))[0] == 200
    other = api.seen_as(role="domain_admin", domains=["shop.example"])
    tenant = Api(**{**api.__dict__, "workspace": await api.here.workspace("ws_2"), "name": "ws_2"})
    for who, export_id in ((confined, whole), (other, theirs), (tenant, whole), (tenant, theirs)):
        unknown = "exp_" + "0" * 32
        status, answer = await who.status(export_id)
        expected = await who.status(unknown)
        assert (status, answer["error"]["code"]) == (404, "EXPORT_NOT_FOUND")
        assert (status, str(answer).replace(export_id, unknown)) == (expected[0], str(expected[1]))


async def test_the_latest_exports_are_listed_for_who_may_see_all_of_each(api: Api) -> None:
    await message(api.here, api.workspace, domain="shop.example")
    first = await api.order(export_type="messages")
    await api.ended(first)
    failed = await api.order(export_type="campaign_performance", campaign_ids=["nothing"])
    await api.ended(failed)
    confined = api.seen_as(role="domain_admin", domains=["shop.example"])
    theirs = await confined.order(export_type="messages", format="json")
    await confined.ended(theirs)
    found = await listed(api)
    assert [one["export_id"] for one in found] == [theirs, failed, first]
    assert [one["status"] for one in found] == ["completed", "failed", "completed"]
    assert "Campaign with ID nothing" in found[1]["error"]
    assert (found[1]["download_url"], found[2]["error"], found[2]["export_type"]) == (None, None, "messages")
    expected = (await api.status(first))[1]["data"]
    assert {name: value for name, value in found[2].items() if name in expected} == expected
    assert [one["export_id"] for one in await listed(confined)] == [theirs]
    tenant = Api(**{**api.__dict__, "workspace": await api.here.workspace("ws_2"), "name": "ws_2"})
    assert await listed(tenant) == []


async def listed(api: Api) -> Any:
    headers = sealed(api.workspace, workspace_id=api.name, **api.role)
    async with api.session.get(f"{api.url}/v1/exports", headers=headers) as answer:
        return (await answer.json())["data"]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({}, "INVALID_PARAMETER", "export_type"),
        ({"export_type": "everything"}, "INVALID_PARAMETER", "export_type: takes campaign_performance"),
        ({"export_type": "messages", "format": "pdf"}, "INVALID_PARAMETER", "format: takes csv"),
        ({"export_type": "messages", "campaign_ids": "a"}, "INVALID_PARAMETER", "campaign_ids"),
        ({"export_type": "messages", "campaign_ids": ["a"] * 1001}, "INVALID_PARAMETER", "1000 campaigns at most"),
        ({"export_type": "messages", "campaign_ids": ["a\0"]}, "INVALID_PARAMETER", "no NUL"),
        ({"export_type": "messages", "campaign_ids": ["\ud800"]}, "INVALID_JSON", "half of a surrogate pair"),
        ({"export_type": "overview", "campaign_ids": ["a"]}, "INVALID_PARAMETER", "campaign_performance takes"),
        ({"export_type": "messages", "timeRange": "7d"}, "INVALID_PARAMETER", "timeRange: There is no such field."),
        ({"export_type": "messages", "time_range": "1y"}, "INVALID_TIME_RANGE", "time_range takes"),
        (
            {"export_type": "messages", "start_date": "2026-02-02", "end_date": "2026-02-01"},
            "INVALID_TIME_RANGE",
            "Start date must be before end date",
        ),
    ],
)
async def test_a_bad_order_is_refused_at_once(api: Api, body: Any, code: str, words: str) -> None:
    status, answer = await api.ask("POST", "/export", body)
    assert (status, answer["success"], answer["error"]["code"]) == (400, False, code)
    assert words in answer["error"]["message"]
    assert await api.here.pool.fetchval("SELECT count(*) FROM export") == 0


async def test_another_workspace_s_path_is_as_one_that_does_not_exist(api: Api) -> None:
    await api.here.workspace("theirs")
    headers = sealed(api.workspace, workspace_id=NAME)
    answers = []
    for workspace in ("theirs", "nobodys"):
        base = f"{api.url}/api/v1/workspaces/{workspace}/analytics"
        async with api.session.post(f"{base}/export", json={"export_type": "messages"}, headers=headers) as answer:
            answers.append((answer.status, (await answer.text()).replace(workspace, "x")))
        async with api.session.get(f"{base}/exports/exp_1", headers=headers) as answer:
            answers.append((answer.status, (await answer.text()).replace(workspace, "x")))
    assert answers[:2] == answers[2:]
    assert {status for status, _ in answers} == {404}


async def test_open_exports_of_a_workspace_are_bounded(
    postgres_dsn: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_OPEN", 2)
    async with exporting(postgres_dsn, redis_url, tmp_path, work=False) as api:
        await api.order(export_type="messages")
        await api.order(export_type="messages")
        status, answer = await api.ask("POST", "/export", {"export_type": "messages"})
        assert (status, answer["error"]["code"]) == (429, "TOO_MANY_EXPORTS")
        other = Api(**{**api.__dict__, "workspace": await api.here.workspace("ws_2"), "name": "ws_2"})
        await other.order(export_type="messages")


async def test_a_link_opens_one_file_for_its_time(api: Api) -> None:
    await message(api.here, api.workspace)
    done, other = await api.completed(export_type="messages"), await api.completed(export_type="events")
    link = done["download_url"].replace("https://gateway.example", api.url)
    query = parse_qs(urlsplit(link).query)
    async with api.session.get(link) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{done["export_id"]}.csv"'
        assert answer.headers["Cache-Control"] == "private, no-store"
    later = str(int(query["expires"][0]) + 1)
    forged = [
        link.replace(query["expires"][0], later),
        link.replace(query["signature"][0], "0" * 64),
        link.replace(done["export_id"], other["export_id"]),
        link.replace(done["export_id"], "exp_unknown"),
        link.replace("by=k", "by=l"),
        link.replace(NAME, "theirs"),
        link.partition("?")[0],
        link + "%00",
    ]
    answers = set()
    for url in forged:
        async with api.session.get(url) as answer:
            answers.add((answer.status, await answer.text()))
    assert [status for status, _ in answers] == [403]
    assert '"code":"INVALID_LINK"' in next(text for _, text in answers)


def test_a_signature_is_of_a_link_s_parts_and_not_of_their_text() -> None:
    links = Links(Secret("secret"), "http://gateway.example")
    link = urlsplit(links.link("ab", "c", "key", datetime(2026, 3, 1, tzinfo=UTC)))
    given = {name: value for name, (value,) in parse_qs(link.query).items()}
    assert links.genuine("ab", "c", **given)
    assert not links.genuine("a", "bc", **given)


async def test_a_link_ends_with_who_asked_for_it(api: Api) -> None:
    """A key that is revoked; a user who is disabled, removed, or confined to less than the export holds."""
    await message(api.here, api.workspace)
    export_id = (await api.completed(export_type="messages"))["export_id"]
    users = [uuid.uuid4() for _ in range(3)]
    for user in users:
        await api.here.pool.execute(
            "INSERT INTO user_account (workspace, id, email, role) VALUES ($1, $2, $2::uuid::text, 'member')",
            api.workspace,
            user,
        )
    links = []
    for asks in (api, *(api.seen_as(key_id=f"user:{user}") for user in users)):
        link = (await asks.status(export_id))[1]["data"]["download_url"]
        links.append(link.replace("https://gateway.example", api.url))

    async def opened() -> list[int]:
        statuses = []
        for link in links:
            async with api.session.get(link) as answer:
                statuses.append(answer.status)
        return statuses

    assert await opened() == [200, 200, 200, 200]
    for change, *values in (
        ("UPDATE api_key SET revoked_at = now() WHERE id = 'k'",),
        ("UPDATE user_account SET disabled_at = now() WHERE id = $1", users[0]),
        ("UPDATE user_account SET domains = '{a.example}' WHERE id = $1", users[1]),
        ("DELETE FROM user_account WHERE id = $1", users[2]),
    ):
        before = await opened()
        await api.here.pool.execute(change, *values)
        after = await opened()
        assert sorted({*zip(before, after, strict=True)} - {(200, 200), (410, 410)}) == [(200, 410)]
    assert after == [410] * 4
    # Who may see it all the same gets a link of his own.
    other = api.seen_as(key_id=f"user:{uuid.uuid4()}")
    assert (await other.status(export_id))[1]["data"]["download_url"] is not None


async def test_a_forged_host_is_in_no_link(api: Api) -> None:
    await message(api.here, api.workspace)
    export_id = await api.order(export_type="messages")
    await api.ended(export_id)
    headers = sealed(api.workspace, workspace_id=NAME)
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"}
    async with api.session.get(f"{api.base}/exports/{export_id}", headers=headers | forged) as answer:
        assert "evil.example" not in await answer.text()


async def test_only_the_download_needs_no_key(api: Api) -> None:
    for endpoint in (e for e in ENDPOINTS if "/analytics/export" in e.path):
        path = endpoint.path.format(workspaceId=NAME, exportId="exp_1")
        async with api.session.request(endpoint.method, api.url + path, headers={principal.HEADER: "x"}) as answer:
            assert answer.status == (403 if endpoint.path.endswith("/download") else 401)


async def test_the_estimate_grows_with_what_there_is(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    async with exporting(postgres_dsn, redis_url, tmp_path, work=False) as api:

        async def estimate(**body: Any) -> float:
            _, answer = await api.ask("POST", "/export", {"export_type": "messages", **body})
            left = datetime.fromisoformat(answer["data"]["estimated_completion"]) - datetime.now(UTC)
            await api.here.pool.execute("DELETE FROM export")
            return left.total_seconds()

        small = await estimate()
        await api.here.add(api.workspace, Fact(noon(), "a", counters={"sent": 10_000_000}))
        await api.here.add(api.workspace, Fact(noon(), "b", counters={"sent": 1}))
        large = await estimate()
        assert 0 < small < 60
        assert large > small + 600
        assert await estimate(campaign_ids=["b"]) < large - 600
