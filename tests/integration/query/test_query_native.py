"""POST /v1/query over real HTTP: answers (docs/api/query.md; hostile-input.md 26-39)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from postmeter.shared.storage.rollups import ACTIVITY, LINKS
from tests.integration.counted_facts import Counted, fill
from tests.integration.native_queries import NOW, Api, asking
from tests.integration.query_api import Answer
from tests.integration.running_query import Fact, query_service, sealed

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(shared_postgres_dsn: str, shared_redis_url: str) -> AsyncIterator[Api]:
    """One for all: to start it takes longer than what most of these tests ask."""
    async with asking(shared_postgres_dsn, shared_redis_url) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def api(asked: Api) -> Api:
    """A workspace of the test's own."""
    return replace(asked, workspace=await asked.here.workspace())


async def test_a_query_without_anything_else_is_the_last_30_days(api: Api) -> None:
    await api.here.add(
        api.workspace,
        Fact(NOW - timedelta(days=30, minutes=5), counters={"sent": 1}),  # the quarter-hour it starts in
        Fact(NOW - timedelta(days=30, minutes=6), counters={"sent": 10}),  # the one before
        Fact(NOW + timedelta(minutes=9), counters={"sent": 100}),
        Fact(NOW + timedelta(minutes=10), counters={"sent": 1000}),
    )
    assert await api.ask() == (
        200,
        {
            "data": [{"sent": 101}],
            "query": {
                "metrics": ["sent"],
                "dimensions": [],
                "filters": {},
                "from": "2025-04-20T10:15:00Z",
                "to": "2025-05-20T10:30:00Z",
                "timezone": "UTC",
                "resolution": "total",
                "order_by": [],
                "limit": 10000,
            },
            "next_cursor": None,
        },
    )


async def test_a_series_in_a_zone_with_every_field_in_its_place(api: Api) -> None:
    await api.here.add(
        api.workspace,
        Fact(datetime(2025, 3, 30, 0, 30, tzinfo=UTC), campaign="c", counters={"human_opens": 2, "proxy_opens": 3}),
        Fact(datetime(2025, 3, 30, 1, 0, tzinfo=UTC), campaign="c", counters={"machine_opens": 9}),
    )
    status, answer = await api.ask(
        metrics=["opens", "machine_opens"],
        dimensions=["campaign", "domain"],
        resolution="hour",
        timezone="Europe/Berlin",
        **{"from": "2025-03-30T00:20:00Z", "to": "2025-03-30T01:30:00Z"},
    )
    assert status == 200
    assert [list(row.items()) for row in answer["data"]] == [
        [
            ("timestamp", "2025-03-30T01:00:00+01:00"),
            ("campaign", "c"),
            ("domain", "example.com"),
            ("opens", 5),
            ("machine_opens", 0),
        ],
        [
            ("timestamp", "2025-03-30T03:00:00+02:00"),
            ("campaign", "c"),
            ("domain", "example.com"),
            ("opens", 0),
            ("machine_opens", 9),
        ],
    ]
    assert answer["query"]["from"] == "2025-03-30T00:15:00Z"
    assert answer["query"]["order_by"] == ["timestamp", "campaign", "domain"]


async def test_dates_are_days_of_the_zone(api: Api) -> None:
    _, answer = await api.ask(timezone="Asia/Kathmandu", **{"from": "2025-05-01", "to": "2025-05-02"})
    assert (answer["query"]["from"], answer["query"]["to"]) == ("2025-04-30T18:15:00Z", "2025-05-02T18:15:00Z")


@pytest.mark.parametrize("resolution", ["total", "day"])
async def test_an_empty_range_is_empty(api: Api, resolution: str) -> None:
    at = "2025-05-01T12:07:00Z"
    status, answer = await api.ask(resolution=resolution, **{"from": at, "to": at})
    assert (status, answer["data"], answer["next_cursor"]) == (200, [], None)


async def test_an_hour_that_the_clocks_repeat_is_told_twice(api: Api) -> None:
    night = {"from": "2024-10-27T00:00:00Z", "to": "2024-10-27T03:00:00Z", "timezone": "Europe/Berlin"}
    status, answer = await api.ask(resolution="hour", **night)
    assert status == 200
    hours = ("02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00")
    assert [row["timestamp"] for row in answer["data"]] == [f"2024-10-27T{hour}" for hour in hours]


async def test_order_limit_and_cursor_walk_every_row_once(api: Api) -> None:
    sent = {f"c{n}": n % 4 for n in range(23)}
    await api.here.add(
        api.workspace, *(Fact(NOW, campaign=c, counters={"sent": n, "delivered": 1}) for c, n in sent.items())
    )
    asked = {"dimensions": ["campaign"], "order_by": ["-sent"], "limit": 5}
    pages, cursor = list[list[tuple[str, int]]](), None
    while not pages or cursor:
        status, answer = await api.ask(**asked, **({"cursor": cursor} if cursor else {}))
        assert status == 200
        pages.append([(row["campaign"], row["sent"]) for row in answer["data"]])
        cursor = answer["next_cursor"]
    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    assert [row for page in pages for row in page] == sorted(sent.items(), key=lambda item: (-item[1], item[0]))
    _, by_name = await api.ask(dimensions=["campaign"], order_by="-campaign")
    assert [row["campaign"] for row in by_name["data"]] == sorted(sent, reverse=True)


async def test_a_cursor_keeps_the_range_of_its_first_page(api: Api, shared_redis_url: str) -> None:
    await api.here.add(api.workspace, *(Fact(NOW, campaign=c, counters={"sent": 1}) for c in "ab"))
    _, first = await api.ask(dimensions=["campaign"], limit=1)
    async with query_service(api.here, shared_redis_url, NOW + timedelta(days=1)) as later:
        api.url = later
        _, second = await api.ask(dimensions=["campaign"], limit=1, cursor=first["next_cursor"])
    assert [row["campaign"] for row in second["data"]] == ["b"]
    assert second["query"]["to"] == first["query"]["to"]


async def test_filters_find_values_as_they_were_sent(api: Api) -> None:
    """Providers are stored in upper case, domains in lower case and as punycode; nothing else is changed."""
    await api.here.add(
        api.workspace,
        Fact(NOW, domain="xn--mller-kva.example", provider="SENDGRID", campaign="Spring", counters={"sent": 1}),
        Fact(NOW, domain="(other)", provider="(other)", campaign="(other)", counters={"sent": 10}),
        Fact(NOW, domain="", provider="", campaign="spring", counters={"sent": 100}),
    )

    async def sent(**values: str) -> tuple[int, dict[str, list[str]]]:
        status, answer = await api.ask(filters={name: [value] for name, value in values.items()})
        assert status == 200, answer
        return answer["data"][0]["sent"], answer["query"]["filters"]

    stored = {"domain": ["xn--mller-kva.example"], "provider": ["SENDGRID"]}
    assert await sent(domain="MÜLLER.example.", provider=" SendGrid ") == (1, stored)
    assert await sent(domain="xn--mller-kva.EXAMPLE", provider="sendgrid") == (1, stored)
    assert (await sent(domain="(other)", provider="(other)"))[0] == 10
    assert (await sent(domain="", provider=""))[0] == 100
    assert (await sent(domain="no domain"))[0] == 0
    assert (await sent(campaign="Spring"))[0] == 1


async def fill_all(api: Api, *facts: Counted) -> None:
    clicks = [fact for fact in facts if "human_clicks" in fact.counters]
    async with api.here.pool.acquire() as connection, connection.transaction():
        await fill(connection, api.workspace, ACTIVITY, list(facts))
        await fill(connection, api.workspace, LINKS, clicks)


async def test_by_tag_a_message_counts_under_each_of_its_tags(api: Api) -> None:
    await fill_all(
        api,
        Counted(NOW, tags=frozenset({"a", "b"}), counters={"sent": 1}),
        Counted(NOW, tags=frozenset({"b"}), domain="y.example", counters={"sent": 10}),
        Counted(NOW, counters={"sent": 100}),
    )

    async def by_tag(headers: dict[str, str] | None = None, **body: Any) -> list[tuple[str, int]]:
        status, answer = await api.ask(headers, dimensions=["tag"], **body)
        assert status == 200, answer
        return [(row["tag"], row["sent"]) for row in answer["data"]]

    assert await by_tag() == [("", 100), ("a", 1), ("b", 11)]
    assert await by_tag(order_by="-sent", limit=2) == [("", 100), ("b", 11)]
    assert await by_tag(filters={"tag": ["a", ""]}) == [("", 100), ("a", 1)]
    confined = sealed(api.workspace, role="domain_admin", domains=["y.example"])
    assert await by_tag(confined) == [("b", 10)]
    for tags, sent in ((["a"], 1), (["a", "b"], 11), ([""], 100), (["", "b"], 111), (["c"], 0)):
        assert (await api.ask(filters={"tag": tags}))[1]["data"] == [{"sent": sent}]


async def test_by_link_there_are_clicks(api: Api) -> None:
    url = "https://shop.example/?a=1&amp;b=%20#top"
    await fill_all(
        api,
        Counted(NOW, campaign="c", link=url, counters={"human_clicks": 1, "machine_clicks": 5}),
        Counted(NOW - timedelta(days=1), campaign="d", tags=frozenset("t"), link=url, counters={"human_clicks": 10}),
        Counted(NOW, campaign="c", counters={"human_clicks": 100}),
    )
    clicks = {"metrics": ["clicks", "machine_clicks"]}
    _, answer = await api.ask(**clicks, dimensions=["link"], order_by="-clicks")
    assert answer["data"] == [
        {"link": "(other)", "clicks": 100, "machine_clicks": 0},
        {"link": url, "clicks": 11, "machine_clicks": 5},
    ]
    _, answer = await api.ask(**clicks, dimensions=["tag", "link"], filters={"campaign": ["d"]})
    assert answer["data"] == [{"tag": "t", "link": url, "clicks": 10, "machine_clicks": 0}]
    _, answer = await api.ask(
        **clicks, filters={"link": [url]}, resolution="day", **{"from": "2025-05-19", "to": "2025-05-20"}
    )
    assert [row["clicks"] for row in answer["data"]] == [10, 1]
    status, answer = await api.ask(metrics=["clicks", "sent"], dimensions=["link"])
    assert (status, answer["error"]["field"]) == (400, "metrics")
    assert "sent is not counted by link" in answer["error"]["message"]


async def test_inbound_mail_has_a_domain_only(api: Api) -> None:
    inbound = {"received": 3, "spam": 2, "size_bytes": 700}
    await api.here.add(api.workspace, Fact(NOW, counters=inbound), Fact(NOW, domain="b.example", counters=inbound))
    metrics = list(inbound)
    status, answer = await api.ask(metrics=metrics, dimensions=["domain"], filters={"domain": ["example.com"]})
    assert (status, answer["data"]) == (200, [{"domain": "example.com", **inbound}])
    for metric in metrics:
        for name in ("campaign", "provider", "template", "mailbox_provider", "tag", "link", "currency"):
            for body in ({"dimensions": ["domain", name]}, {"filters": {name: ["x"]}}):
                status, answer = await api.ask(metrics=[metric], **body)
                assert (status, answer["error"]["field"]) == (400, "metrics")
                assert f"{metric} is not counted by {name};" in answer["error"]["message"]


async def test_long_names_are_bounded_by_their_bytes(api: Api) -> None:
    urls = [f"https://shop.example/{n:04}".ljust(8000, "x") for n in range(1_060)]
    many = [Counted(NOW, link=url, counters={"human_clicks": 1}) for url in urls[60:]]
    await fill_all(
        api, *many, *(Counted(NOW, campaign="c", link=url, counters={"human_clicks": 1}) for url in urls[:60])
    )

    async def ask(**body: Any) -> Answer:
        return await api.ask(metrics=["clicks"], dimensions=["link"], **body)

    # 8 MB hold 1048.6 of them: no more than that is read.
    status, answer = await ask()
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "RESULT_TOO_LARGE", "dimensions")
    assert "more than 8 MB of names: at least 1049 groups by link in 1 bucket. To narrow" in answer["error"]["message"]
    status, answer = await ask(filters={"campaign": [""]})
    assert (status, len(answer["data"])) == (200, 1_000)
    # Names are repeated in each bucket.
    status, answer = await ask(filters={"link": urls[:2]}, resolution="hour")
    assert (status, answer["error"]["code"]) == (400, "RESULT_TOO_LARGE")
    assert (
        "2 groups by link in 721 buckets. To narrow it, filter by link, ask for a coarser" in answer["error"]["message"]
    )
    status, answer = await ask(filters={"link": urls[:1]}, resolution="hour")
    assert (status, len(answer["data"])) == (200, 721)


async def test_a_tenant_named_in_the_body_changes_nothing(api: Api) -> None:
    other = await api.here.workspace("other")
    await api.here.add(other, Fact(NOW, counters={"sent": 7}))
    for named in ({"workspace": "other"}, {"workspace_id": other}):
        assert (await api.ask(**named))[1]["data"] == [{"sent": 0}]


async def test_a_domain_admin_sees_its_domains_only_in_totals_too(api: Api) -> None:
    await api.here.add(
        api.workspace,
        Fact(NOW, domain="mine.example", counters={"sent": 1}),
        Fact(NOW, domain="other.example", counters={"sent": 10}),
    )
    mine = sealed(api.workspace, role="domain_admin", domains=["Mine.example"])
    assert (await api.ask(mine))[1]["data"] == [{"sent": 1}]
    assert (await api.ask(mine, filters={"domain": ["other.example"]}))[1]["data"] == [{"sent": 0}]
    assert (await api.ask(mine, dimensions=["domain"]))[1]["data"] == [{"domain": "mine.example", "sent": 1}]
    for nothing in (list[str](), None):
        headers = sealed(api.workspace, role="domain_admin", domains=nothing)
        assert (await api.ask(headers))[1]["data"] == [{"sent": 0}]
    assert (await api.ask())[1]["data"] == [{"sent": 11}]
