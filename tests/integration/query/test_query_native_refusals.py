"""POST /v1/query over real HTTP: what is refused, and in which words (hostile-input.md 26-39)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from postmeter.shared.auth import principal
from tests import sealing
from tests.integration.native_queries import NOW, Api, asking
from tests.integration.running_query import Fact, Workspaces, query_service, sealed

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(shared_postgres_dsn: str, shared_redis_url: str) -> AsyncIterator[Api]:
    """One for all: to start it takes longer than what most of these tests ask."""
    async with asking(shared_postgres_dsn, shared_redis_url) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def api(service: Api) -> Api:
    """A workspace of the test's own."""
    return replace(service, workspace=await service.here.workspace())


async def test_a_cursor_of_another_tenant_or_query_is_refused(api: Api) -> None:
    await api.here.add(api.workspace, *(Fact(NOW, campaign=c, counters={"sent": 1}) for c in "abc"))
    other = await api.here.workspace()
    _, answer = await api.ask(dimensions=["campaign"], limit=1)
    cursor = answer["next_cursor"]
    assert (await api.ask(dimensions=["campaign"], limit=2, cursor=cursor))[0] == 200
    flipped = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    confined = sealed(api.workspace, role="domain_admin", domains=["example.com"])
    for headers, body in (
        (sealed(other), {"dimensions": ["campaign"], "cursor": cursor}),
        (confined, {"dimensions": ["campaign"], "cursor": cursor}),
        (None, {"dimensions": ["domain"], "cursor": cursor}),
        (None, {"dimensions": ["campaign"], "metrics": ["delivered"], "cursor": cursor}),
        (None, {"dimensions": ["campaign"], "order_by": "-sent", "cursor": cursor}),
        (None, {"dimensions": ["campaign"], "cursor": flipped}),
        (None, {"dimensions": ["campaign"], "cursor": "é"}),
        (None, {"dimensions": ["campaign"], "cursor": ""}),
    ):
        status, refused = await api.ask(headers, **body)
        assert (status, refused["error"]["code"], refused["error"]["field"]) == (400, "INVALID_CURSOR", "cursor")


@pytest.mark.parametrize("text", ["", "é", "garbage", "Z2FyYmFnZS1nYXJiYWdlLWdhcmJhZ2U", "W" * 3000])
async def test_what_is_not_a_cursor_is_said_not_to_be_one(api: Api, text: str) -> None:
    status, refused = await api.ask(cursor=text)
    assert (status, refused["error"]["code"], refused["error"]["field"]) == (400, "INVALID_CURSOR", "cursor")
    assert "is not a cursor" in refused["error"]["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "metrics: This field is required."),
        (b'{"metrics":["sent"],"fitlers":{}}', "fitlers: There is no such field."),
        (b'{"metrics":["sent"],"filters":{"domain":"x"}}', "filters.domain: Expected `array`, got `str`"),
        (
            b'{"metrics":["sent"],"from":"2025-05-21"}',
            "from: lies in the future, and without `to` a range ends now",
        ),
    ],
)
async def test_mistakes_are_explained_in_the_caller_s_terms(api: Api, body: bytes, message: str) -> None:
    status, answer = await api.raw(body)
    assert (status, answer["error"]["message"]) == (400, message)


async def test_a_range_that_ends_now_is_as_long_as_it_will_be_in_this_quarter_hour(api: Api) -> None:
    """So that an answer which is kept until then would not be refused meanwhile."""
    quarter_end = NOW + (-(NOW - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=15))
    for late, status in ((timedelta(0), 200), (timedelta(seconds=1), 400)):
        start = quarter_end - timedelta(days=3660) - late
        assert (await api.ask(**{"from": start.isoformat()}))[0] == status


async def test_what_to_narrow_of_an_answer_that_is_too_large(api: Api) -> None:
    await api.here.add(api.workspace, *(Fact(NOW, campaign=f"c{n}", counters={"sent": 1}) for n in range(30)))
    for field, says, body in (
        ("resolution", "coarser", {"resolution": "quarter_hour", "from": "2024-06-01"}),
        ("dimensions", "filter by campaign and domain, or ask for fewer", {"dimensions": ["campaign", "domain"]}),
        ("dimensions", "at least 30 groups by campaign in 721 buckets", {"dimensions": ["campaign"]}),
    ):
        status, answer = await api.ask(**{"resolution": "hour", **body})
        assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "RESULT_TOO_LARGE", field)
        assert says in answer["error"]["message"]


async def test_filters_and_another_tenant_s_ids_have_one_shape(api: Api) -> None:
    other = await api.here.workspace()
    await api.here.add(other, Fact(NOW, campaign="theirs", domain="theirs.example", counters={"sent": 7}))
    await api.here.add(api.workspace, Fact(NOW, campaign="ours", counters={"sent": 1}))
    theirs = await api.ask(filters={"campaign": ["theirs"]}, dimensions=["campaign"])
    nobody = await api.ask(filters={"campaign": ["nobody"]}, dimensions=["campaign"])
    assert theirs[1]["data"] == nobody[1]["data"] == []
    both = await api.ask(filters={"campaign": ["theirs", "ours"], "domain": ["example.com"]})
    assert both[1]["data"] == [{"sent": 1}]


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("metrics", {"metrics": []}),
        ("metrics", {"metrics": ["sent", "sent"]}),
        ("metrics", {"metrics": ["sent) FROM api_key --"]}),
        ("metrics", {"metrics": ["profit"]}),
        ("metrics[0]", {"metrics": [1]}),
        ("metrics", {"metrics": "sent"}),
        ("dimensions", {"dimensions": ["workspace"]}),
        ("dimensions", {"dimensions": ["campaign; DROP TABLE series"]}),
        ("dimensions", {"dimensions": ["domain", "domain"]}),
        ("filters", {"filters": {"tags": ["x"]}}),
        ("filters", {"filters": {"1=1": ["x"]}}),
        ("filters.domain", {"filters": {"domain": []}}),
        ("filters.domain", {"filters": {"domain": ["x"] * 1001}}),
        ("filters.domain", {"filters": {"domain": ["x\0"]}}),
        ("filters.domain", {"filters": {"domain": "x"}}),
        ("filters.domain[1]", {"filters": {"campaign": ["x"], "domain": ["x", None]}}),
        ("filters", {"filters": {"tags": 5}}),
        ("filters", {"filters": ["domain"]}),
        ("from", {"from": "2025-05-01T00:00:00"}),
        ("from", {"from": "2025-05-01T00:00:60Z"}),
        ("from", {"from": "2025-02-29"}),
        ("from", {"from": "0000-01-01"}),
        ("from", {"from": 5}),
        ("to", {"to": "9999-12-31"}),
        ("from", {"from": "2025-05-21"}),
        ("to", {"from": "2025-05-02T00:00:00Z", "to": "2025-05-01T00:00:00Z"}),
        ("from", {"from": "2000-01-01", "to": "2100-01-01"}),
        ("timezone", {"timezone": "../../etc/passwd"}),
        ("timezone", {"timezone": "Mars/Olympus"}),
        ("timezone", {"timezone": "localtime"}),
        ("resolution", {"resolution": "minute"}),
        ("resolution", {"resolution": "quarter_hour", "from": "2020-01-01"}),
        ("order_by", {"order_by": "received"}),
        ("order_by", {"order_by": ["sent", "-sent"]}),
        ("order_by", {"order_by": "1; SELECT pg_sleep(9)"}),
        ("order_by", {"order_by": "timestamp"}),
        ("limit", {"limit": -1}),
        ("limit", {"limit": 0}),
        ("limit", {"limit": 10**9}),
        ("limit", {"limit": 10**30}),
        ("limit", {"limit": "abc"}),
        ("limit", {"limit": 1.5}),
        ("fitlers", {"fitlers": {}}),
    ],
)
async def test_each_mistake_names_its_field(api: Api, field: str, body: dict[str, Any]) -> None:
    status, answer = await api.ask(**body)
    assert (status, answer["error"].get("field")) == (400, field)
    assert answer["error"]["message"]
    assert answer.keys() == {"error"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"metrics":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"metrics":["sent"],"filters":' + b'{"a":' * 40_000 + b"1" + b"}" * 40_000 + b"}",
        b'{"metrics":["sent"],"limit":NaN}',
        b'{"metrics":["sent"],"limit":1e400}',
        b'{"metrics":["sent"],"limit":' + b"9" * 100_000 + b"}",
        b'{"metrics":["\xff"]}',
        b'{"metrics":["\\ud800"]}',
        b'{"metrics":["sent"],"workspace":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"null",
        b"[]",
        b"{}",
    ],
)
async def test_no_body_breaks_it(api: Api, body: bytes) -> None:
    status, answer = await api.raw(body)
    assert (status, answer["error"]["code"] in ("INVALID_JSON", "INVALID_FIELD")) == (400, True)


async def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    status, answer = await api.raw(b" " * (256 * 1024 + 1))
    assert (status, answer["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_only_the_gateway_is_believed(api: Api) -> None:
    genuine = sealing.value(sealed(api.workspace)[principal.HEADER], "POST", "/v1/query")
    for headers in ({}, {principal.HEADER: ""}, {principal.HEADER: "x.y"}, {principal.HEADER: genuine[:-4] + "AAA="}):
        status, answer = await api.ask(headers)
        assert (status, answer["error"]["code"]) == (401, "UNAUTHORIZED")
    status, answer = await api.ask(sealed(api.workspace, scopes=["track"]))
    assert (status, answer["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_query_that_takes_too_long_says_what_to_do(
    api: Api, shared_postgres_dsn: str, shared_redis_url: str
) -> None:
    impatient = {"statement_timeout": "100"}
    async with (
        asyncpg.create_pool(shared_postgres_dsn, min_size=1, max_size=1, server_settings=impatient) as pool,
        api.here.pool.acquire() as connection,
        connection.transaction(),
        query_service(Workspaces(pool), shared_redis_url, NOW) as api.url,
    ):
        await connection.execute("LOCK TABLE activity_1d IN ACCESS EXCLUSIVE MODE")
        status, answer = await api.ask()
    assert (status, answer["error"]["code"]) == (504, "QUERY_TIMEOUT")
    assert "narrow" in answer["error"]["message"]


async def test_a_database_that_is_away_is_no_mistake_of_the_caller(
    api: Api, shared_postgres_dsn: str, shared_redis_url: str
) -> None:
    async with (
        asyncpg.create_pool(shared_postgres_dsn, min_size=1, max_size=1) as pool,
        query_service(Workspaces(pool), shared_redis_url, NOW) as api.url,
    ):
        await pool.close()
        status, answer = await api.ask()
    assert (status, answer["error"]["code"]) == (503, "UNAVAILABLE")
