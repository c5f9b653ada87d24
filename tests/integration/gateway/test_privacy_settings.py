"""/v1/privacy and the command `postmeter privacy`: one rule for both, each change in the audit log."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.commands import Commands
from tests.integration.people import PeopleGateway, Seen, people_gateway

DEFAULTS: dict[str, Any] = {
    "opens": "full",
    "clicks": "full",
    "domains": {},
    "unknown": {"opens": "full", "clicks": "full"},
    "denied": {"opens": "off", "clicks": "off"},
    "retention": dict.fromkeys(("history_months", "messages_months", "contacts_months", "consent_months")),
}
ALL = ("analytics", "track", "privacy")


@pytest.fixture
async def place(postgres_dsn: str) -> AsyncIterator[PeopleGateway]:
    async with people_gateway(postgres_dsn) as made:
        yield made


async def ask(place: PeopleGateway, method: str, body: Any = None, *, key: str = "", **rights: Any) -> Seen:
    """As an administrator, or with other rights."""
    key = key or await place.here.key(place.workspace, **{"role": "admin", "scopes": ALL} | rights)
    return await place.ask(method, "/v1/privacy", body, Authorization=f"Bearer {key}")


async def entries(place: PeopleGateway) -> list[Any]:
    rows = await place.here.pool.fetch("SELECT workspace, actor, action, target, details FROM audit ORDER BY id")
    return [{**row, "details": json.loads(row["details"])} for row in rows]


async def test_what_is_set_is_shown_and_the_rest_stays(place: PeopleGateway) -> None:
    assert (await ask(place, "GET")).body == DEFAULTS
    assert (await ask(place, "PUT", {})).body == DEFAULTS
    assert await place.here.pool.fetchval("SELECT count(*) FROM privacy_setting") == 0
    key = await place.here.key(place.workspace, "admin", ALL)
    first = {"opens": "pseudonymous", "domains": {"Shop.EXAMPLE.": {"opens": "last_date"}, "b.example": {}}}
    told = await ask(place, "PUT", first, key=key)
    assert told.status == 200
    named = {"b.example": {"opens": "full", "clicks": "full"}, "shop.example": {"opens": "last_date", "clicks": "full"}}
    assert told.body == DEFAULTS | {"opens": "pseudonymous", "domains": named}
    second = {
        "clicks": "anonymous",
        "unknown": {"opens": "off"},
        "denied": {"clicks": "anonymous"},
        "retention": {"history_months": 13, "consent_months": 1200},
    }
    assert (await ask(place, "PUT", second)).status == 200
    assert (await ask(place, "PUT", {"retention": {"history_months": None}, "domains": {}})).status == 200
    assert (await ask(place, "PUT", {"retention": {"history_months": None}})).status == 200
    assert (await ask(place, "GET", role="member", scopes=("privacy",))).body == DEFAULTS | {
        "opens": "pseudonymous",
        "clicks": "anonymous",
        "unknown": {"opens": "off", "clicks": "full"},
        "denied": {"opens": "off", "clicks": "anonymous"},
        "retention": DEFAULTS["retention"] | {"consent_months": 1200},
    }
    stranger = await place.here.key(await place.here.workspace(), "admin", ALL)
    assert (await ask(place, "GET", key=stranger)).body == DEFAULTS
    kept = await entries(place)
    assert [one["workspace"] for one in kept] == [place.workspace] * 3, "what changes nothing has no entry"
    assert {one["action"] for one in kept} == {"privacy.changed"}
    assert kept[0]["actor"] == f"key:{key.split('_')[1][:16]}"
    assert kept[0]["details"]["opens"] == ["full", "pseudonymous"]
    assert kept[0]["details"]["domains.shop.example"] == [None, {"opens": "last_date", "clicks": "full"}]
    assert kept[2]["details"]["retention.history_months"] == [13, None]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"opens": "none"}, "opens"),
        ({"opens": 3}, "opens"),
        ({"clicks": "last_date"}, "clicks"),
        ({"unknown": {"clicks": "last_date"}}, "unknown.clicks"),
        ({"denied": {"opens": "last_date"}}, "denied.opens"),
        ({"denied": {"clicks": "pseudonymous"}}, "denied.clicks"),
        ({"domains": {"shop.example": {"clicks": "last_date"}}}, "domains.shop.example.clicks"),
        ({"domains": {"shop.example": {"views": "off"}}}, None),
        ({"domains": {"": {}}}, "domains"),
        ({"domains": {"a b": {}}}, "domains"),
        ({"domains": {"a\0.example": {}}}, "domains"),
        ({"domains": {"x" * 100_000: {}}}, "domains"),
        ({"domains": {"a.example": {}, "A.example": {}}}, "domains"),
        ({"domains": {f"{at}.example": {} for at in range(1001)}}, "domains"),
        ({"retention": {"history_months": 0}}, "retention.history_months"),
        ({"retention": {"messages_months": 1201}}, "retention.messages_months"),
        ({"retention": {"messages_months": 2**70}}, "retention.messages_months"),
        ({"retention": {"contacts_months": 1.5}}, "retention.contacts_months"),
        ({"level": "off"}, "level"),
        ([], None),
    ],
)
async def test_what_makes_no_sense_is_refused_and_nothing_is_set(
    place: PeopleGateway, body: Any, field: str | None
) -> None:
    given = {"unknown": {"opens": "off"}} | body if isinstance(body, dict) and "unknown" not in body else body
    refused = await ask(place, "PUT", given)
    assert (refused.status, refused.body["error"]["code"]) == (400, "INVALID_FIELD")
    if field is not None:
        assert refused.body["error"]["field"] == field
    assert len(refused.body["error"]["message"]) < 500
    assert await place.here.pool.fetchval("SELECT count(*) FROM privacy_setting") == 0
    assert await entries(place) == []


@pytest.mark.parametrize(
    ("rights", "reads", "writes"),
    [
        ({"role": "super_admin"}, 200, 200),
        ({"role": "member"}, 200, 403),
        ({"role": "admin", "scopes": ("analytics", "track")}, 403, 403),
        ({"role": "domain_admin", "domains": ["shop.example"]}, 403, 403),
    ],
)
async def test_who_may(place: PeopleGateway, rights: dict[str, Any], reads: int, writes: int) -> None:
    key = await place.here.key(place.workspace, **{"scopes": ALL} | rights)
    assert (await ask(place, "GET", key=key)).status == reads
    assert (await ask(place, "PUT", {"opens": "off"}, key=key)).status == writes


def test_by_command(command: Commands) -> None:
    shown = command("privacy", "show", "--workspace", "acme").output.split()
    assert shown[:2] == ["opens=full", "clicks=full"]
    assert "retention.history_months=none" in shown
    settings = ("opens=off", "unknown.clicks=anonymous", "retention.history_months=13", "domains.A.example.opens=off")
    made = command("privacy", "set", "--workspace", "acme", *settings)
    assert made.exit_code == 0, made.output
    more = ("domains.b.example.clicks=anonymous", "domains.a.EXAMPLE.clicks=off", "retention.history_months=none")
    assert command("privacy", "set", "--workspace", "acme", *more).exit_code == 0
    told = command("privacy", "show", "--workspace", "acme").output.split()
    assert {"opens=off", "unknown.clicks=anonymous", "retention.history_months=none"} <= set(told)
    assert {"domains.a.example.opens=off", "domains.a.example.clicks=off", "domains.b.example.opens=full"} <= set(told)
    assert command("privacy", "set", "--workspace", "acme", "domains.a.example=none").exit_code == 0
    assert "a.example" not in command("privacy", "show", "--workspace", "acme").output


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("clicks=last_date", "clicks: takes off, anonymous, pseudonymous, full"),
        ("denied.opens=full", "denied.opens: takes off, anonymous"),
        ("views=off", "there is no such setting: 'views'"),
        ("unknown.views=off", "there is no such setting: 'unknown.views'"),
        ("retention.history_months=x", "1 to 1200"),
        ("domains.a.example=off", "opens or clicks"),
        ("domains.a b.opens=off", "is not a domain name"),
    ],
)
def test_what_makes_no_sense_is_refused_by_command(command: Commands, setting: str, says: str) -> None:
    refused = command("privacy", "set", "--workspace", "acme", "opens=off", setting)
    assert refused.exit_code == 1
    assert says in " ".join(refused.output.split())
    assert "opens=off" not in command("privacy", "show", "--workspace", "acme").output.split()
    assert command("privacy", "show", "--workspace", "nobody").exit_code == 1
