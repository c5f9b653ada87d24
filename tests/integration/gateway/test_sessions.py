"""Sessions: the ways in, and what they stand for (ADR 0042)."""

from typing import Any

import pytest

from postmeter.gateway.people import links
from postmeter.gateway.people.links import Purpose
from postmeter.shared.auth import api_keys
from tests.integration.people import PASSWORD, READ, PeopleGateway, ends, nobody_s_token, people_gateway
from tests.integration.running_gateway import bearer

WRITE, ADMINS = ("POST", "/v1/messages"), ("GET", "/api/v1/tracking/stats")
MAIL = ("GET", "/api/v1/mail/stats")
pytestmark = pytest.mark.usefixtures("hurried")


async def test_a_password_gives_a_cookie_that_scripts_do_not_see(place: PeopleGateway) -> None:
    await place.user()
    seen = await place.ask("POST", "/session", {"email": " Ada@SHOP.example ", "password": PASSWORD})
    assert (seen.status, seen.body) == (204, None)
    parts = {part.strip().lower() for part in seen.headers["Set-Cookie"].split(";")[1:]}
    assert parts == {"httponly", "samesite=lax", "path=/", "max-age=1209600"}
    told = await place.ask("GET", "/session", cookie=seen.cookie)
    assert told.body == {
        "data": {
            "email": "ada@shop.example",
            "role": "admin",
            "workspace": "ours",
            "scopes": list(api_keys.SCOPES),
        }
    }
    assert told.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("role", "domains", "status", "principal"),
    [
        ("admin", None, {READ: 200, MAIL: 200, WRITE: 200, ADMINS: 200}, "admin"),
        ("member", None, {READ: 200, MAIL: 200, WRITE: 200, ADMINS: 403}, "member"),
        ("viewer", None, {READ: 200, MAIL: 403, WRITE: 403, ADMINS: 403}, "member"),
        ("admin", ["shop.example"], {READ: 200, MAIL: 200, WRITE: 200, ADMINS: 403}, "domain_admin"),
        ("member", ["shop.example"], {READ: 200, MAIL: 200, WRITE: 200, ADMINS: 403}, "domain_admin"),
        ("viewer", ["shop.example"], {READ: 200, MAIL: 403, WRITE: 403, ADMINS: 403}, "domain_admin"),
        ("of another release", None, {READ: 403, MAIL: 403, WRITE: 403, ADMINS: 403}, None),
    ],
)
async def test_a_role_is_the_rights_of_a_key(
    place: PeopleGateway,
    role: str,
    domains: list[str] | None,
    status: dict[tuple[str, str], int],
    principal: str | None,
) -> None:
    number, user = await place.user(domains=domains)
    await place.here.pool.execute("UPDATE user_account SET role = $1", role)
    cookie = await place.sign_in(email="ada@shop.example", password=PASSWORD)
    for (method, path), expected in status.items():
        seen = await place.ask(method, path, {} if method == "POST" else None, cookie)
        assert seen.status == expected, (method, path)
        if expected == 200:
            who = place.principal()
            assert (who.key_id, who.workspace, who.workspace_id) == (f"user:{user}", number, "ours")
            assert (who.role, who.domains) == (principal, domains)
            assert who.confined_to == (None if domains is None else tuple(domains))
            assert "Cookie" not in place.asked[-1].headers


async def test_an_api_key_signs_in_to_its_own_rights(place: PeopleGateway) -> None:
    key = await place.here.key(place.workspace, "domain_admin", ("analytics",), ["shop.example"])
    cookie = await place.sign_in(api_key=key)
    seen = await place.ask("GET", "/session", cookie=cookie)
    whole = {"email": None, "role": "domain_admin", "workspace": "ours", "scopes": ["analytics"]}
    assert seen.body["data"] == whole
    assert (await place.ask("GET", "/session", Authorization=f"Bearer {key}")).body["data"] == whole
    assert (await place.ask(*READ, cookie=cookie)).status == 200
    assert (place.principal().key_id, place.principal().domains) == (api_keys.id_of(key), ["shop.example"])
    assert (await place.ask(*WRITE, {}, cookie)).status == 403
    await place.here.pool.execute("UPDATE api_key SET revoked_at = now()")
    await ends(place, cookie)


async def test_a_sign_in_link_works_once(place: PeopleGateway) -> None:
    user = await place.user(password=None)
    link = await place.link(user)
    assert (await place.ask("GET", "/session")).status == 401
    cookie = await place.sign_in(link=link)
    assert (await place.ask(*READ, cookie=cookie)).status == 200
    again = await place.ask("POST", "/session", {"link": link})
    assert (again.status, again.body["error"]["code"], again.cookie) == (401, "UNAUTHORIZED", None)
    link = await place.link(user)
    async with place.here.pool.acquire() as connection:  # whoever has found it good at the same time
        assert [await links.use(connection, link) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("purpose", Purpose)
async def test_a_link_says_whose_it_is_while_it_is_good(place: PeopleGateway, purpose: Purpose) -> None:
    user = await place.user(password=None)
    link = await place.link(user, purpose)
    for _ in range(2):
        seen = await place.ask("POST", "/session/link", {"link": link})
        assert (seen.status, seen.cookie) == (200, None)
        assert seen.body == {"data": {"purpose": purpose.value, "email": "ada@shop.example", "workspace": "ours"}}
        assert seen.headers["Cache-Control"] == "no-store"
    elsewhere = {"Sec_Fetch_Site": "cross-site"}
    assert (await place.ask("POST", "/session/link", {"link": link}, **elsewhere)).status == 403
    await place.sign_in(link=link, **({} if purpose is Purpose.SIGN_IN else {"password": PASSWORD}))
    expired, theirs = await place.link(user), await place.link(await place.user("bob@b.example"))
    await place.here.pool.execute("UPDATE one_time_link SET expires_at = now() WHERE user_account = $1", user[1])
    await place.here.pool.execute("UPDATE user_account SET disabled_at = now() WHERE email = 'bob@b.example'")
    bodies = []
    for worthless in (link, expired, theirs, nobody_s_token(place.workspace), "x", "\0"):
        seen = await place.ask("POST", "/session/link", {"link": worthless})
        assert seen.status == 401
        bodies.append(seen.body)
    assert bodies == [bodies[0]] * len(bodies), "nothing tells one from another"


@pytest.mark.parametrize("purpose", [Purpose.INVITATION, Purpose.RESET])
async def test_a_link_that_sets_a_password_waits_for_a_good_one(place: PeopleGateway, purpose: Purpose) -> None:
    user = await place.user()
    before = await place.sign_in(email="ada@shop.example", password=PASSWORD)
    link, other = await place.link(user, purpose), await place.link(user)
    for password in (None, "short", "ADA@shop.example ", "a" * 20, "x" * 2000):
        body = {"link": link} | ({} if password is None else {"password": password})
        refused = await place.ask("POST", "/session", body)
        assert (refused.status, refused.body["error"]["field"]) == (400, "password"), password
    cookie = await place.sign_in(link=link, password="a new one, quite long")
    assert (await place.ask(*READ, cookie=cookie)).status == 200
    await ends(place, before)
    assert (await place.ask("POST", "/session", {"link": other})).status == 401, "a reset voids what was given before"
    await place.sign_in(email="ada@shop.example", password="a new one, quite long")
    assert (await place.ask("POST", "/session", {"email": "ada@shop.example", "password": PASSWORD})).status == 401


async def test_who_knows_his_password_changes_it_as_he_signs_in(place: PeopleGateway) -> None:
    user = await place.user()
    before, link = await place.sign_in(email="ada@shop.example", password=PASSWORD), await place.link(user)
    new = "a new one, quite long"
    for password, chosen, status, field in (
        (PASSWORD, "short", 400, "new_password"),
        (PASSWORD, "ADA@shop.example ", 400, "new_password"),
        ("wrong", "short", 400, "new_password"),
        ("wrong", new, 401, None),
    ):
        body = {"email": "ada@shop.example", "password": password, "new_password": chosen}
        seen = await place.ask("POST", "/session", body)
        assert (seen.status, seen.body["error"].get("field")) == (status, field)
    assert (await place.ask("GET", "/session", cookie=before)).status == 200
    cookie = await place.sign_in(email="ada@shop.example", password=PASSWORD, new_password=new)
    assert (await place.ask("GET", "/session", cookie=cookie)).status == 200
    await ends(place, before)
    assert (await place.ask("POST", "/session", {"link": link})).status == 401
    assert (await place.ask("POST", "/session", {"email": "ada@shop.example", "password": PASSWORD})).status == 401
    await place.sign_in(email="ada@shop.example", password=new)


async def test_a_newer_link_replaces_the_one_before(place: PeopleGateway) -> None:
    user = await place.user()
    first, second = await place.link(user), await place.link(user)
    assert (await place.ask("POST", "/session", {"link": first})).status == 401
    assert (await place.ask("POST", "/session", {"link": second, "password": PASSWORD})).status == 400
    await place.sign_in(link=second)


async def test_authorization_wins_over_a_cookie(place: PeopleGateway) -> None:
    await place.user(role="viewer")
    cookie = await place.sign_in(email="ada@shop.example", password=PASSWORD)
    key = await place.here.key(place.workspace, "admin", ("track",))
    assert (await place.ask(*WRITE, {}, cookie, **bearer(key))).status == 200
    assert (await place.ask(*READ, None, cookie, **bearer(key))).status == 403
    assert (await place.ask(*READ, None, cookie, Authorization="Bearer nobody")).status == 401


@pytest.mark.parametrize(
    ("settings", "headers", "expected"),
    [
        ({}, {}, False),
        ({"public_gateway_url": "https://mail.shop.example/"}, {}, True),
        ({"public_gateway_url": "http://127.0.0.1:8080"}, {}, False),
        ({}, {"X_Forwarded_Proto": "https"}, False),
        ({"trusted_hops": 1}, {"X_Forwarded_Proto": "https"}, True),
        ({"trusted_hops": 1}, {"X_Forwarded_Proto": "https, http"}, False),
        ({"trusted_hops": 2}, {"X_Forwarded_Proto": "http, https, http"}, True),
        ({"trusted_hops": 2}, {"X_Forwarded_Proto": "HTTPS"}, True),
        ({"trusted_hops": 1}, {}, False),
    ],
)
async def test_behind_https_the_cookie_is_for_https_only(
    postgres_dsn: str, settings: dict[str, object], headers: dict[str, str], expected: bool
) -> None:
    async with people_gateway(postgres_dsn, **settings) as place:
        key = await place.here.key(place.workspace)
        seen = await place.ask("POST", "/session", {"api_key": key}, **headers)
        assert seen.status == 204
        assert ("; secure" in seen.headers["Set-Cookie"].lower()) is expected


PUBLIC = {"public_gateway_url": "https://mail.shop.example"}


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {}, 200),
        ({}, {"Sec_Fetch_Site": "same-origin"}, 200),
        ({}, {"Sec_Fetch_Site": "none"}, 200),
        ({}, {"Sec_Fetch_Site": "same-origin", "Origin": "null"}, 200),
        ({}, {"Sec_Fetch_Site": "same-site"}, 403),
        ({}, {"Sec_Fetch_Site": "cross-site", "Origin": "http://HERE"}, 403),
        ({}, {"Sec_Fetch_Site": ""}, 403),
        ({}, {"Origin": "http://HERE"}, 200),
        ({}, {"Origin": "https://HERE"}, 200),
        ({}, {"Origin": "HERE"}, 403),
        ({}, {"Origin": "null"}, 403),
        ({}, {"Origin": ""}, 403),
        ({}, {"Origin": "http://evil.example"}, 403),
        ({}, {"Origin": "http://HERE.evil.example"}, 403),
        ({}, {"Origin": "http://HERE/"}, 403),
        ({}, {"Origin": "http://x@HERE"}, 403),
        ({}, {"Origin": "http://127.0.0.1"}, 403),
        (PUBLIC, {"Origin": "https://mail.shop.example"}, 200),
        (PUBLIC, {"Origin": "http://mail.shop.example", "Host": "mail.shop.example"}, 403),
        (PUBLIC, {"Origin": "https://shop.example"}, 403),
    ],
)
async def test_a_cookie_s_writes_come_from_our_own_pages(
    postgres_dsn: str, settings: dict[str, object], headers: dict[str, str], status: int
) -> None:
    async with people_gateway(postgres_dsn, **settings) as place:
        key = await place.here.key(place.workspace, "admin", ("track", "analytics"))
        cookie = await place.sign_in(api_key=key)
        given = {name: value.replace("HERE", place.url.removeprefix("http://")) for name, value in headers.items()}
        for method, path in (WRITE, ("PUT", "/v1/campaigns/spring"), ("DELETE", "/v1/sources/x")):
            body: Any = None if method == "DELETE" else {}
            assert (await place.ask(method, path, body, cookie, **given)).status == status
            assert (await place.ask(method, path, body, **bearer(key), **given)).status == 200, "a key is not a cookie"
        assert (await place.ask(*READ, None, cookie, **given)).status == 200
        for method, own_body in (("POST", {"api_key": key}), ("DELETE", None)):
            seen = await place.ask(method, "/session", own_body, cookie, **given)
            assert seen.status == (204 if status == 200 else 403)
