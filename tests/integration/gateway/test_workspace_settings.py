"""/v1/verdicts, /v1/sending-ips, /v1/domains: the same rules as the commands, for the caller's workspace alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from postmeter.gateway.workspace import sending_ips
from postmeter.shared.storage.thresholds import Thresholds
from tests.integration.people import PeopleGateway, Seen, people_gateway
from tests.integration.running_gateway import bearer, gateway
from tests.integration.running_query import query_service, workspaces

DEFAULTS = Thresholds()._asdict()
ALL = ("analytics", "track", "access", "mail:read")


@pytest.fixture
async def place(postgres_dsn: str) -> AsyncIterator[PeopleGateway]:
    async with people_gateway(postgres_dsn) as made:
        yield made


async def ask(place: PeopleGateway, method: str, path: str, body: Any = None, *, key: str = "", **rights: Any) -> Seen:
    """As an administrator, or with other rights."""
    given = {"role": "admin", "scopes": ALL} | rights
    key = key or await place.here.key(place.workspace, **given)
    return await place.ask(method, path, body, Authorization=f"Bearer {key}")


async def test_thresholds_are_the_defaults_until_some_are_set(place: PeopleGateway) -> None:
    shown = (await ask(place, "GET", "/v1/verdicts")).body
    assert (shown["data"], shown["defaults"]) == (DEFAULTS, DEFAULTS)
    assert (shown["least"]["burst_clicks"], shown["most"]["burst_clicks"]) == (2, 100)
    assert await place.here.pool.fetchval("SELECT count(*) FROM verdict_setting") == 0
    nothing = await ask(place, "PUT", "/v1/verdicts", {})
    assert (nothing.status, nothing.body) == (200, shown)
    assert await place.here.pool.fetchval("SELECT count(*) FROM verdict_setting") == 0
    for body in ({"burst_clicks": 8, "early_seconds": 0}, {"burst_links": 7}):
        assert (await ask(place, "PUT", "/v1/verdicts", body)).status == 200
    after = (await ask(place, "GET", "/v1/verdicts", role="member", scopes=("analytics",))).body["data"]
    assert after == DEFAULTS | {"burst_clicks": 8, "burst_links": 7}
    other = await place.here.key(await place.here.workspace(), "admin", ALL)
    assert (await ask(place, "GET", "/v1/verdicts", key=other)).body["data"] == DEFAULTS


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"burst_clicks": 1}, "burst_clicks"),
        ({"burst_clicks": 101}, "burst_clicks"),
        ({"scan_seconds": -1}, "scan_seconds"),
        ({"scan_seconds": 2.5}, "scan_seconds"),
        ({"burst_links": "3"}, "burst_links"),
        ({"burst_links": True}, "burst_links"),
        ({"all_links": 2**70}, "all_links"),
        ({"bursts": 3}, "bursts"),
        ([], None),
    ],
)
async def test_a_threshold_that_makes_no_sense_is_refused_and_nothing_is_set(
    place: PeopleGateway, body: Any, field: str | None
) -> None:
    refused = await ask(place, "PUT", "/v1/verdicts", {"burst_links": 9} | body if body else body)
    assert (refused.status, refused.body["error"]["code"]) == (400, "INVALID_FIELD")
    assert refused.body["error"].get("field") == field
    assert await place.here.pool.fetchval("SELECT count(*) FROM verdict_setting") == 0


async def test_sending_ips_are_added_shown_and_removed(place: PeopleGateway) -> None:
    added = await ask(place, "POST", "/v1/sending-ips", {"ips": ["9.9.9.9", "2A00:1450:0::8A", "::ffff:1.1.1.1"]})
    assert added.status == 201
    assert [one["ip"] for one in added.body["data"]] == ["1.1.1.1", "9.9.9.9", "2a00:1450::8a"]
    again = await ask(place, "POST", "/v1/sending-ips", {"ips": ["9.9.9.9"]})
    assert (again.status, again.body["data"]) == (201, [added.body["data"][1]])
    await place.here.pool.execute(
        "UPDATE sending_ip SET listed_in = '{bl.example}', checked_at = '2026-04-01T09:00:00Z' WHERE ip = '9.9.9.9'"
    )
    shown = (await ask(place, "GET", "/v1/sending-ips", role="member", scopes=("analytics",))).body["data"]
    assert [one["ip"] for one in shown] == ["1.1.1.1", "9.9.9.9", "2a00:1450::8a"]
    assert (shown[1]["listed_in"], shown[1]["checked_at"]) == (["bl.example"], "2026-04-01T09:00:00Z")
    assert (shown[0]["listed_in"], shown[0]["checked_at"]) == ([], None)
    stranger = await place.here.key(await place.here.workspace(), "super_admin", ALL)
    assert (await ask(place, "GET", "/v1/sending-ips", key=stranger)).body["data"] == []
    assert (await ask(place, "DELETE", "/v1/sending-ips/9.9.9.9", key=stranger)).status == 404
    for path in ("2A00:1450:0::8a", "::ffff:9.9.9.9"):
        removed = await ask(place, "DELETE", f"/v1/sending-ips/{path.replace(':', '%3A')}")
        assert removed.status == 200, removed.body
    for path in ("9.9.9.9", "10.0.0.1", "shop.example", "%00", "9.9.9.9%2F32"):
        assert (await ask(place, "DELETE", f"/v1/sending-ips/{path}")).status == 404
    left = (await ask(place, "GET", "/v1/sending-ips")).body["data"]
    assert [one["ip"] for one in left] == ["1.1.1.1"]


@pytest.mark.parametrize(
    ("ips", "field"),
    [
        (["9.9.9.9", "10.0.0.1"], "ips[1]"),
        (["9.9.9.0/24"], "ips[0]"),
        (["x" * 5000], "ips[0]"),
        (["9.9.9.9\0"], "ips[0]"),
        (["9.9.9.9", 1], "ips[1]"),
        ([], "ips"),
        (["9.9.9.9"] * 101, "ips"),
        ("9.9.9.9", "ips"),
    ],
)
async def test_other_ips_are_refused_and_none_is_stored(place: PeopleGateway, ips: Any, field: str) -> None:
    refused = await ask(place, "POST", "/v1/sending-ips", {"ips": ips})
    assert (refused.status, refused.body["error"]["field"]) == (400, field)
    assert len(refused.body["error"]["message"]) < 500
    assert (await ask(place, "GET", "/v1/sending-ips")).body["data"] == []


async def test_a_workspace_has_a_limited_number_of_sending_ips(
    place: PeopleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending_ips, "MOST", 2)
    assert (await ask(place, "POST", "/v1/sending-ips", {"ips": ["9.9.9.1", "9.9.9.2"]})).status == 201
    full = await ask(place, "POST", "/v1/sending-ips", {"ips": ["9.9.9.2", "9.9.9.3"]})
    assert (full.status, full.body["error"]["code"]) == (409, "TOO_MANY_SENDING_IPS")
    assert (await ask(place, "POST", "/v1/sending-ips", {"ips": ["9.9.9.2"]})).status == 201
    assert len((await ask(place, "GET", "/v1/sending-ips")).body["data"]) == 2


@pytest.mark.parametrize(
    ("rights", "reads", "writes"),
    [
        ({"role": "super_admin"}, (200, 200), (200, 201)),
        ({"role": "member"}, (200, 200), (403, 403)),
        ({"role": "member", "scopes": ("analytics",)}, (200, 200), (403, 403)),
        ({"role": "admin", "scopes": ("analytics",)}, (200, 200), (403, 403)),
        ({"role": "admin", "scopes": ("track",)}, (403, 403), (200, 201)),
        ({"role": "domain_admin", "domains": ["shop.example"]}, (200, 403), (403, 403)),
    ],
)
async def test_who_may(
    place: PeopleGateway, rights: dict[str, Any], reads: tuple[int, int], writes: tuple[int, int]
) -> None:
    key = await place.here.key(place.workspace, **{"scopes": ALL} | rights)
    asked: list[tuple[str, str, Any]] = [("GET", "/v1/verdicts", None), ("GET", "/v1/sending-ips", None)]
    asked += [("PUT", "/v1/verdicts", {"burst_links": 5}), ("POST", "/v1/sending-ips", {"ips": ["9.9.9.9"]})]
    seen = [(await ask(place, *one, key=key)).status for one in asked]
    assert tuple(seen) == (*reads, *writes)
    removed = (await ask(place, "DELETE", "/v1/sending-ips/9.9.9.9", key=key)).status
    assert removed == (200 if writes[1] == 201 else 403)


async def test_domains_come_by_name_page_by_page_each_to_whom_it_belongs(postgres_dsn: str, redis_url: str) -> None:
    async with (
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, datetime.now(UTC)) as service,
        gateway(postgres_dsn, query_url=service) as url,
        aiohttp.ClientSession() as session,
    ):
        mine, other = await here.workspace(), await here.workspace()
        names = ["a.example", "b.example", "c.example"]
        ids = await asyncio.gather(*(here.domain(mine, name) for name in reversed(names)))
        await here.domain(other, "theirs.example")

        async def asked(key: str, query: str = "") -> Any:
            async with session.get(f"{url}/v1/domains{query}", headers=bearer(key)) as answer:
                return await answer.json()

        key = await here.key(mine)
        told = await asked(key)
        assert ([one["name"] for one in told["data"]], told["next_cursor"]) == (names, None)
        assert [one["id"] for one in told["data"]] == [str(one) for one in reversed(ids)]
        found, query = [], "?limit=2"
        while query:
            page = await asked(key, query)
            found += [one["name"] for one in page["data"]]
            query = f"?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
        assert found == names
        confined = await here.key(mine, "domain_admin", domains=["B.example", "theirs.example"])
        assert [one["name"] for one in (await asked(confined))["data"]] == ["b.example"]
        cursor = (await asked(key, "?limit=1"))["next_cursor"]
        for wrong in (f"?cursor={cursor}", "?limit=0", "?limit=1001", "?limit=x"):
            assert (await asked(confined, wrong))["error"]["code"].startswith("INVALID_"), wrong
