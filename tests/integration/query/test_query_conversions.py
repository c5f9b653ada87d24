"""Conversions and revenue in POST /v1/query: exact, and never summed over currencies."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import pytest

from postmeter.shared.storage.rollups import CONVERSIONS
from tests import sealing
from tests.integration.counted_facts import Counted, fill
from tests.integration.running_query import ensure_months, query_service, sealed, workspaces

NOW = datetime(2025, 5, 20, 10, 20, 30, tzinfo=UTC)
EXACT: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
BOTH = ["conversions", "revenue"]
Asked = tuple[int, Any]


def bought(n: int, revenue: str, **changes: Any) -> Counted:
    counters = {"conversions": n, "revenue": Decimal(revenue)}
    return Counted(**{"at": NOW - timedelta(hours=2), "counters": counters, **changes})


class Api:
    def __init__(self, url: str, workspace: int, session: aiohttp.ClientSession) -> None:
        self.url, self.workspace, self.session = url, workspace, session

    async def ask(self, domains: list[str] | None = None, **body: Any) -> Asked:
        role = "admin" if domains is None else "domain_admin"
        headers = sealed(self.workspace, role, domains)
        async with self.session.post(f"{self.url}/v1/query", json=body, headers=headers) as answer:
            return answer.status, EXACT.decode(await answer.read())


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    await ensure_months(postgres_dsn, date(2025, 3, 1), date(2025, 5, 1))
    async with (
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, NOW) as url,
        sealing.session() as session,
    ):
        workspace = await here.workspace()
        rows = [
            bought(2, "0.30", campaign="spring", tags=frozenset({"a", "b"})),
            bought(1, "12345678901234567890.10", campaign="spring", domain="y.example"),
            bought(3, "7.125", campaign="spring", currency="KWD", at=NOW - timedelta(days=2)),
            bought(1, "5", campaign="", domain=""),
            bought(9, "1", at=NOW - timedelta(days=40)),
        ]
        async with here.pool.acquire() as connection:
            await fill(connection, workspace, CONVERSIONS, rows)
        yield Api(url, workspace, session)


async def test_revenue_by_currency_is_exact(api: Api) -> None:
    status, answer = await api.ask(metrics=BOTH, dimensions=["currency"])
    assert status == 200
    assert answer["data"] == [
        {"currency": "EUR", "conversions": 4, "revenue": Decimal("12345678901234567895.40")},
        {"currency": "KWD", "conversions": 3, "revenue": Decimal("7.125")},
    ]


async def test_by_campaign_day_and_tag(api: Api) -> None:
    _, answer = await api.ask(metrics=BOTH, dimensions=["campaign"], filters={"currency": ["eur"]})
    assert answer["query"]["filters"] == {"currency": ["EUR"]}
    assert answer["data"] == [
        {"campaign": "", "conversions": 1, "revenue": Decimal(5)},
        {"campaign": "spring", "conversions": 3, "revenue": Decimal("12345678901234567890.40")},
    ]
    days: dict[str, Any] = {"from": "2025-05-18", "to": "2025-05-20", "resolution": "day"}
    _, answer = await api.ask(metrics=BOTH, dimensions=["currency"], **days)
    assert [
        (row["timestamp"][8:10], row["currency"], row["conversions"], row["revenue"]) for row in answer["data"]
    ] == [
        ("18", "EUR", 0, 0),
        ("18", "KWD", 3, Decimal("7.125")),
        ("19", "EUR", 0, 0),
        ("19", "KWD", 0, 0),
        ("20", "EUR", 4, Decimal("12345678901234567895.40")),
        ("20", "KWD", 0, 0),
    ]
    _, answer = await api.ask(metrics=BOTH, dimensions=["tag", "currency"], filters={"tag": ["a"]})
    assert answer["data"] == [{"tag": "a", "currency": "EUR", "conversions": 2, "revenue": Decimal("0.30")}]


async def test_conversions_of_all_currencies_have_a_sum(api: Api) -> None:
    _, answer = await api.ask(metrics=["conversions"])
    assert answer["data"] == [{"conversions": 7}]


async def test_a_domain_admin_sees_what_its_domains_earned(api: Api) -> None:
    _, answer = await api.ask(["y.example"], metrics=BOTH, dimensions=["currency"])
    assert answer["data"] == [{"currency": "EUR", "conversions": 1, "revenue": Decimal("12345678901234567890.10")}]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"metrics": ["revenue"]}, "dimensions"),
        ({"metrics": ["revenue"], "dimensions": ["campaign"]}, "dimensions"),
        ({"metrics": ["revenue"], "filters": {"currency": ["EUR", "USD"]}}, "dimensions"),
        ({"metrics": ["sent", "conversions"]}, "metrics"),
        ({"metrics": ["sent"], "dimensions": ["currency"]}, "metrics"),
        ({"metrics": ["sent"], "filters": {"currency": ["EUR"]}}, "metrics"),
        ({"metrics": ["conversions"], "dimensions": ["link"]}, "metrics"),
        ({"metrics": ["clicks"], "dimensions": ["link", "currency"]}, "metrics"),
    ],
)
async def test_what_makes_no_sense_is_an_error(api: Api, body: dict[str, Any], field: str) -> None:
    status, answer = await api.ask(**body)
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "INVALID_FIELD", field)


async def test_pages_by_revenue(api: Api) -> None:
    body: dict[str, Any] = {"metrics": BOTH, "dimensions": ["campaign", "currency"], "order_by": "-revenue"}
    _, whole = await api.ask(**body)
    assert [row["revenue"] for row in whole["data"]] == [Decimal("12345678901234567890.40"), Decimal("7.125"), 5]
    found, cursor = [], None
    for _ in range(3):
        _, page = await api.ask(**body, limit=1, **({"cursor": cursor} if cursor else {}))
        found += page["data"]
        cursor = page["next_cursor"]
    assert found == whole["data"]
    assert cursor is None
