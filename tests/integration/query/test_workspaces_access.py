"""Workspaces: what its paths and parameters may name, and whose numbers a key gets."""

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from postmeter.shared.storage.rollups import SENT
from tests.integration.query_api import Answer
from tests.integration.reports import WORKSPACE, Api, Cohort, reports
from tests.integration.running_query import Fact

NOW = datetime(2025, 11, 26, 10, 20, 30, tzinfo=UTC)
AT = datetime(2025, 11, 20, 10, tzinfo=UTC)
BASE = f"/api/v1/workspaces/{WORKSPACE}"
READS = (
    "/campaigns/cmp_abc123/analytics",
    "/analytics/overview",
    "/analytics/deliverability",
    "/analytics/engagement-heatmap",
)


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with reports(postgres_dsn, redis_url, NOW, date(2025, 10, 1)) as made:
        yield made


def error(code: str, message: str) -> Any:
    return {"success": False, "error": {"code": code, "message": message}}


def missing(campaign: str) -> Answer:
    return 404, error("CAMPAIGN_NOT_FOUND", f"Campaign with ID {campaign} not found in workspace {WORKSPACE}")


async def test_an_unknown_campaign_as_the_document_prints_it(api: Api) -> None:
    expected = missing("cmp_abc123")
    assert expected[1]["error"]["message"] == "Campaign with ID cmp_abc123 not found in workspace ws_xyz789"
    assert await api.get(BASE + "/campaigns/cmp_abc123/analytics") == expected
    assert await api.get(BASE + "/analytics/deliverability", campaignId="cmp_abc123") == expected
    assert await api.get(BASE + "/analytics/engagement-heatmap", campaignId="cmp_abc123") == expected
    assert await api.compare("cmp_abc123", "cmp_def456") == expected


async def test_names_that_no_campaign_can_have(api: Api) -> None:
    await api.add(Fact(AT, "", counters={"sent": 1}))
    assert await api.raw_get(BASE + "/campaigns/%00/analytics") == missing("\ufffd")
    assert await api.raw_get(BASE + "/campaigns/%27%20OR%201%3D1/analytics") == missing("' OR 1=1")
    assert await api.get(BASE + "/analytics/deliverability", campaignId="") == missing("")
    assert await api.compare("a\0", "b") == missing("a\ufffd")
    for broken in ("%ED%A0%80", "%FF", "%C0%AF"):  # no UTF-8
        status, answer = await api.raw_get(BASE + f"/campaigns/{broken}/analytics")
        assert (status, answer["error"]["code"]) == (404, "CAMPAIGN_NOT_FOUND")
        status, _ = await api.raw_get(BASE + f"/analytics/deliverability?domainId={broken}")
        assert status == 404


async def test_another_workspace_is_like_one_that_does_not_exist(api: Api) -> None:
    other = await api.here.workspace("ws_other")
    await api.here.pool.execute("INSERT INTO campaign (workspace, id, name) VALUES ($1, 'cmp_abc123', 'A')", other)
    for path in READS:
        for workspace in ("ws_other", "ws_nowhere"):
            assert await api.get(f"/api/v1/workspaces/{workspace}{path}") == (
                404,
                error("WORKSPACE_NOT_FOUND", f"Workspace with ID {workspace} not found"),
            )
    body = {"campaign_ids": ["cmp_abc123", "b"]}
    answers = [
        await api.post(f"/api/v1/workspaces/{workspace}/analytics/compare", body)
        for workspace in ("ws_other", "ws_nowhere")
    ]
    assert {status for status, _ in answers} == {404}
    # The key's own workspace does not show the other one's campaign either.
    assert await api.get(BASE + "/campaigns/cmp_abc123/analytics") == missing("cmp_abc123")


async def mixed(api: Api) -> dict[str, uuid.UUID]:
    """A campaign over two domains, one of only the other domain; its numbers are ten times as high."""
    await api.campaign("cmp_abc123", "Both")
    await api.campaign("theirs", "Theirs")
    ids = {}
    for domain, n in (("mine.example", 1), ("theirs.example", 10)):
        ids[domain] = await api.here.domain(api.workspace, domain)
        counted = {"sent": 100 * n, "delivered": 90 * n, "hard_bounced": 4 * n, "soft_bounced": 6 * n}
        counted |= {"unique_opens": 30 * n, "unique_clicks": 9 * n, "unique_replies": 3 * n, "complained": n}
        await api.add(Fact(AT, "cmp_abc123", domain, counters=counted))
        cohort = {"mailed": 100 * n, "opened": 30 * n, "clicked": 9 * n, "replied": 3 * n}
        await api.add_cohorts(SENT, Cohort(AT, "cmp_abc123", domain, cohort))
        await api.add_reasons(AT, {f"Reason of {domain}": 10 * n}, "cmp_abc123", domain)
    await api.add(Fact(AT, "theirs", "theirs.example", counters={"sent": 1000, "delivered": 1000}))
    return ids


async def test_a_domain_admin_sees_its_domains_only(api: Api) -> None:
    await mixed(api)
    mine = api.confined("mine.example")
    campaign = await mine.read_campaign("cmp_abc123")
    assert campaign["summary"]["emails_sent"] == 100
    assert sum(point["sent"] for point in campaign["time_series"]) == 100
    overview = await mine.read("overview")
    assert overview["summary"] == {
        "total_campaigns": 1,
        "active_campaigns": 1,
        "emails_sent": 100,
        "emails_delivered": 90,
        "emails_opened": 30,
        "emails_clicked": 9,
        "emails_replied": 3,
    }
    assert [top["campaign_id"] for top in overview["top_campaigns"]] == ["cmp_abc123"]
    deliverability = await mine.read("deliverability")
    assert deliverability["bounce_analysis"]["hard_bounces"] == 4
    assert deliverability["bounce_analysis"]["top_bounce_reasons"] == [
        {"reason": "Reason of mine.example", "count": 10, "percentage": 100}
    ]
    assert (
        deliverability["reputation_trend"][-1]["score"]
        == (
            await api.read(
                "deliverability",
                domainId=str(await api.here.pool.fetchval("SELECT id FROM domain WHERE name = 'mine.example'")),
            )
        )["reputation_trend"][-1]["score"]
    )
    heatmap = await mine.read("engagement-heatmap")
    assert sum(cell["emails_sent"] for cell in heatmap["heatmap"]) == 100
    _, compared = await mine.compare("cmp_abc123", "theirs")
    assert compared == missing("theirs")[1]
    await api.add(Fact(AT, "theirs", "mine.example", counters={"sent": 7}))
    _, compared = await mine.compare("cmp_abc123", "theirs", metrics=["delivery_rate"])
    assert [c["intervals"]["delivery_rate"]["trials"] for c in compared["data"]["comparison"]] == [100, 7]
    # The whole workspace, seen by who may.
    assert (await api.read("overview"))["summary"]["emails_sent"] == 2107
    assert (await api.read("overview"))["summary"]["total_campaigns"] == 2


async def test_a_domain_admin_without_the_domain_learns_nothing(api: Api) -> None:
    await mixed(api)
    for nobody in (api.confined(), api.confined("other.example")):
        assert await nobody.get(BASE + "/campaigns/cmp_abc123/analytics") == missing("cmp_abc123")
        assert await nobody.get(BASE + "/analytics/deliverability", campaignId="cmp_abc123") == missing("cmp_abc123")
        overview = await nobody.read("overview")
        assert set(overview["summary"].values()) == {0}
        assert overview["top_campaigns"] == []
        deliverability = await nobody.read("deliverability")
        assert deliverability["bounce_analysis"]["top_bounce_reasons"] == []
        assert {point["score"] for point in deliverability["reputation_trend"]} == {100}
        heatmap = await nobody.read("engagement-heatmap")
        assert heatmap["optimal_send_time"] is None
        assert not any(cell["emails_sent"] for cell in heatmap["heatmap"])


async def test_deliverability_of_one_domain_and_one_campaign(api: Api) -> None:
    ids = await mixed(api)
    mine = await api.read("deliverability", domainId=str(ids["mine.example"]).upper())
    assert (mine["bounce_analysis"]["hard_bounces"], mine["bounce_analysis"]["soft_bounces"]) == (4, 6)
    assert [reason["reason"] for reason in mine["bounce_analysis"]["top_bounce_reasons"]] == ["Reason of mine.example"]
    campaign = await api.read("deliverability", campaignId="cmp_abc123")
    assert (campaign["bounce_analysis"]["hard_bounces"], campaign["overall"]["bounce_rate"]) == (44, 10)
    assert len(campaign["bounce_analysis"]["top_bounce_reasons"]) == 2
    neither = await api.read("deliverability", campaignId="theirs", domainId=str(ids["mine.example"]))
    assert neither["bounce_analysis"]["top_bounce_reasons"] == []
    assert neither["overall"]["health_score"] == 100


async def test_domains_that_are_not_there_or_not_the_caller_s(api: Api) -> None:
    ids = await mixed(api)
    path = BASE + "/analytics/deliverability"
    elsewhere = await api.here.domain(await api.here.workspace("other"), "elsewhere.example")
    for unknown in (str(uuid.uuid4()), str(elsewhere), "mine.example", ""):
        message = f"Domain with ID {unknown} not found in workspace {WORKSPACE}"
        assert await api.get(path, domainId=unknown) == (404, error("DOMAIN_NOT_FOUND", message))
    mine = api.confined("mine.example")
    assert (await mine.get(path, domainId=str(ids["mine.example"])))[0] == 200
    for foreign in (str(ids["theirs.example"]), str(uuid.uuid4()), "x"):
        assert await mine.get(path, domainId=foreign) == (
            403,
            error("FORBIDDEN", "No access to the requested domain."),
        )


BAD_PARAMETERS = [
    ("/campaigns/c/analytics?timeRange=1y", "INVALID_TIME_RANGE", "timeRange takes 7d, 30d, 90d or custom"),
    ("/campaigns/c/analytics?groupBy=hour", "INVALID_PARAMETER", "groupBy takes day, week, month"),
    ("/campaigns/c/analytics?groupBy=day&groupBy=day", "INVALID_PARAMETER", "more than once"),
    ("/analytics/overview?startDate=2025-11-02&endDate=2025-11-01", "INVALID_TIME_RANGE", "Start date must be"),
    ("/analytics/overview?startDate=2025-13-01", "INVALID_TIME_RANGE", "startDate: is not a date"),
    ("/analytics/overview?endDate=2020-01-01", "INVALID_TIME_RANGE", "endDate lies before the default of startDate, "),
    ("/analytics/overview?startDate=2099-01-01", "INVALID_TIME_RANGE", "startDate lies after the default of endDate"),
    ("/analytics/overview?endDate=%00", "INVALID_PARAMETER", "endDate must not hold a NUL"),
    ("/analytics/deliverability?timeRange=custom", "INVALID_TIME_RANGE", "timeRange takes 7d, 30d, 90d"),
    ("/analytics/engagement-heatmap?timeRange=7d", "INVALID_TIME_RANGE", "timeRange takes 30d, 90d"),
    ("/analytics/engagement-heatmap?timezone=Mars/Olympus", "INVALID_PARAMETER", "timezone"),
    ("/analytics/engagement-heatmap?timezone=..%2F..%2Fetc%2Fpasswd", "INVALID_PARAMETER", "timezone"),
    ("/analytics/engagement-heatmap?timezone=", "INVALID_PARAMETER", "timezone"),
]


async def test_bad_parameters(api: Api) -> None:
    for path, code, part in BAD_PARAMETERS:
        status, answer = await api.raw_get(BASE + path)
        assert (status, list(answer), answer["success"]) == (400, ["success", "error"], False), path
        assert answer["error"]["code"] == code, path
        assert part in answer["error"]["message"], path


async def test_start_after_end_as_the_document_prints_it(api: Api) -> None:
    expected = error("INVALID_TIME_RANGE", "Start date must be before end date")
    parameters = {"timeRange": "custom", "startDate": "2025-11-26", "endDate": "2025-10-27"}
    assert await api.get(BASE + "/analytics/overview", **parameters) == (400, expected)
    body = {"time_range": "custom", "start_date": "2025-11-26", "end_date": "2025-10-27"}
    assert await api.compare("a", "b", **body) == (400, expected)


BAD_COMPARISONS: list[tuple[Any, str, str]] = [
    (b"", "INVALID_JSON", "JSON"),
    (b'{"x": ' + b"[" * 50_000, "INVALID_PARAMETER", "x: There is no such field."),
    ({}, "INVALID_PARAMETER", "campaign_ids"),
    ({"campaign_ids": "a"}, "INVALID_PARAMETER", "campaign_ids"),
    ({"campaign_ids": []}, "INVALID_PARAMETER", "2 to 20"),
    ({"campaign_ids": ["a"]}, "INVALID_PARAMETER", "2 to 20"),
    ({"campaign_ids": [str(n) for n in range(21)]}, "INVALID_PARAMETER", "2 to 20"),
    ({"campaign_ids": ["a", "b", "a"]}, "INVALID_PARAMETER", "twice"),
    ({"campaign_ids": ["a", 1]}, "INVALID_PARAMETER", "campaign_ids[1]"),
    ({"campaign_ids": ["a", "b"], "metrics": []}, "INVALID_PARAMETER", "at least one metric"),
    ({"campaign_ids": ["a", "b"], "metrics": ["sent"]}, "INVALID_PARAMETER", "'sent' is unknown"),
    ({"campaign_ids": ["a", "b"], "metrics": ["open_rate", "open_rate"]}, "INVALID_PARAMETER", "twice"),
    ({"campaign_ids": ["a", "b"], "timeRange": "7d"}, "INVALID_PARAMETER", "timeRange: There is no such field."),
    ({"campaign_ids": ["a", "b"], "workspace_id": "w"}, "INVALID_PARAMETER", "workspace_id: There is no such field."),
    ({"campaign_ids": ["a", "b"], "time_range": "2y"}, "INVALID_TIME_RANGE", "time_range takes"),
    ({"campaign_ids": ["a", "b"], "start_date": "x"}, "INVALID_TIME_RANGE", "start_date"),
]


async def test_bad_comparisons(api: Api) -> None:
    for body, code, part in BAD_COMPARISONS:
        status, answer = await api.post(BASE + "/analytics/compare", body)
        assert (status, answer["success"], answer["error"]["code"]) == (400, False, code), body
        assert part in answer["error"]["message"], body


async def test_markup_in_names_stays_text(api: Api) -> None:
    await api.campaign("<b>", '"><script>alert(1)</script>')
    data = await api.read_campaign("<b>")
    assert data["campaign_name"] == '"><script>alert(1)</script>'
    assert json.dumps(data["campaign_id"]) == '"<b>"'
