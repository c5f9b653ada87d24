"""Sessions: the ways in, what they stand for, and how they end (ADR 0042)."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from postmeter.gateway.keys import remembered
from postmeter.gateway.people import sessions
from postmeter.gateway.people.links import Purpose
from postmeter.gateway.people.sessions import Sessions
from postmeter.shared.auth import api_keys
from postmeter.shared.errors import Unavailable
from tests.integration.people import PASSWORD, House, house, nobody_s_token
from tests.integration.running_gateway import bearer
from tests.integration.stopped_clock import Clock
from tests.product import PATIENCE

READ, WRITE, ADMINS = ("GET", "/api/v1/analytics"), ("POST", "/v1/messages"), ("GET", "/api/v1/tracking/stats")
MAIL = ("GET", "/api/v1/mail/stats")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has ended is known after a tenth of a second."""
    monkeypatch.setattr(remembered, "FRESH_SECONDS", 0.1)


@pytest.fixture
async def place(postgres_dsn: str, redis_url: str) -> AsyncIterator[House]:
    async with house(postgres_dsn, redis_url) as made:
        yield made


async def test_a_password_gives_a_cookie_that_scripts_do_not_see(place: House) -> None:
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
    place: House, role: str, domains: list[str] | None, status: dict[tuple[str, str], int], principal: str | None
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


async def test_an_api_key_signs_in_to_its_own_rights(place: House) -> None:
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


async def ends(place: House, cookie: str) -> None:
    """Within seconds, and for good."""
    async with asyncio.timeout(PATIENCE):
        while (seen := await place.ask(*READ, cookie=cookie)).status == 200:
            pass
    assert (seen.status, seen.body["error"]["code"]) == (401, "UNAUTHORIZED")


async def test_a_sign_in_link_works_once(place: House) -> None:
    link = await place.link(await place.user(password=None))
    assert (await place.ask("GET", "/session")).status == 401
    cookie = await place.sign_in(link=link)
    assert (await place.ask(*READ, cookie=cookie)).status == 200
    again = await place.ask("POST", "/session", {"link": link})
    assert (again.status, again.body["error"]["code"], again.cookie) == (401, "UNAUTHORIZED", None)


@pytest.mark.parametrize("purpose", Purpose)
async def test_a_link_says_whose_it_is_while_it_is_good(place: House, purpose: Purpose) -> None:
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
async def test_a_link_that_sets_a_password_waits_for_a_good_one(place: House, purpose: Purpose) -> None:
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


async def test_who_knows_his_password_changes_it_as_he_signs_in(place: House) -> None:
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


async def test_a_newer_link_replaces_the_one_before(place: House) -> None:
    user = await place.user()
    first, second = await place.link(user), await place.link(user)
    assert (await place.ask("POST", "/session", {"link": first})).status == 401
    assert (await place.ask("POST", "/session", {"link": second, "password": PASSWORD})).status == 400
    await place.sign_in(link=second)


async def test_signing_out_ends_the_session_here_at_once(place: House) -> None:
    await place.user()
    cookie = await place.sign_in(email="ada@shop.example", password=PASSWORD)
    assert (await place.ask("GET", "/session", cookie=cookie)).status == 200
    seen = await place.ask("DELETE", "/session", cookie=cookie)
    assert (seen.status, seen.cookie) == (204, "")
    assert (await place.ask("GET", "/session", cookie=cookie)).status == 401
    assert (await place.ask("DELETE", "/session", cookie=cookie)).status == 204


CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36"
)


async def test_who_is_signed_in_sees_where_and_signs_out_there(place: House) -> None:
    await place.user()
    comes = {"email": "ada@shop.example", "password": PASSWORD}
    other = await place.ask("POST", "/session", comes, User_Agent=CHROME)
    mine, bob = (
        await place.sign_in(**comes),
        await place.sign_in(link=await place.link(await place.user("bob@b.example"))),
    )
    await place.here.pool.execute("UPDATE session SET seen_at = now() - interval '1 hour' WHERE browser IS NOT NULL")
    told = await place.ask("GET", "/sessions", cookie=mine)
    here, there = told.body["data"]
    assert there.keys() == {"id", "created_at", "seen_at", "expires_at", "browser", "system", "current"}
    assert [here[name] for name in ("browser", "system", "current")] == [None, None, True]
    assert [there[name] for name in ("browser", "system", "current")] == ["Chrome", "Windows", False]
    assert there["seen_at"] < there["created_at"] <= here["seen_at"] < here["expires_at"]
    assert told.headers["RateLimit-Limit"], "it counts against the workspace's limit"

    (theirs,) = (await place.ask("GET", "/sessions", cookie=bob)).body["data"]
    for path in (theirs["id"], str(uuid.uuid4()), "x", there["id"] + "/x"):
        assert (await place.ask("DELETE", f"/sessions/{path}", cookie=mine)).status == 404
    elsewhere = {"Sec_Fetch_Site": "cross-site"}
    for path in ("/sessions", f"/sessions/{there['id']}"):
        assert (await place.ask("DELETE", path, cookie=mine, **elsewhere)).status == 403
        assert (await place.ask("DELETE", path)).status == 401
    seen = await place.ask("DELETE", f"/sessions/{there['id']}", cookie=mine)
    assert (seen.status, seen.cookie) == (204, None)
    assert (await place.ask("GET", "/session", cookie=other.cookie)).status == 401, "at once"
    (left,) = (await place.ask("GET", "/sessions", cookie=mine)).body["data"]
    assert left["id"] == here["id"]
    assert (await place.ask("DELETE", f"/sessions/{there['id']}", cookie=mine)).status == 404

    again = await place.sign_in(**comes)
    seen = await place.ask("DELETE", "/sessions", cookie=mine)
    assert (seen.status, seen.cookie) == (204, "")
    for cookie, status in ((mine, 401), (again, 401), (bob, 200)):
        assert (await place.ask("GET", "/session", cookie=cookie)).status == status
    seen = await place.ask("DELETE", f"/sessions/{theirs['id']}", cookie=bob)
    assert (seen.status, seen.cookie) == (204, "")


async def test_sessions_of_a_key_are_the_key_s_own(place: House) -> None:
    key, another = [await place.here.key(place.workspace, scopes=("track",)) for _ in range(2)]
    cookie, others = await place.sign_in(api_key=key), await place.sign_in(api_key=another)
    (told,) = (await place.ask("GET", "/sessions", **bearer(key))).body["data"]
    assert not told["current"]
    assert (await place.ask("DELETE", f"/sessions/{told['id']}", cookie=others)).status == 404
    assert (await place.ask("DELETE", "/sessions", **bearer(key))).status == 204
    assert (await place.ask("GET", "/session", cookie=cookie)).status == 401
    assert (await place.ask("GET", "/session", cookie=others)).status == 200


async def test_an_open_session_ends_with_its_user_s_right_to_come_in(place: House) -> None:
    await place.user()
    cookie = await place.sign_in(email="ada@shop.example", password=PASSWORD)
    found = await place.here.pool.fetchrow("SELECT workspace, id FROM user_account")
    assert found is not None
    link = await place.link((found["workspace"], found["id"]))
    await place.here.pool.execute("UPDATE user_account SET disabled_at = now()")
    await ends(place, cookie)
    assert (await place.ask("POST", "/session", {"link": link})).status == 401
    assert (await place.ask("POST", "/session", {"email": "ada@shop.example", "password": PASSWORD})).status == 401


@pytest.mark.parametrize(
    "change",
    [
        "expires_at = now()",
        "revoked_at = now()",
        "seen_at = now() - interval '24 hours 1 second'",
    ],
)
async def test_a_session_ends_by_its_limits(place: House, change: str) -> None:
    await place.user()
    cookie = await place.sign_in(email="ada@shop.example", password=PASSWORD)
    await place.here.pool.execute(f"UPDATE session SET {change}")
    await ends(place, cookie)


async def test_one_user_s_sessions_are_bounded(place: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 2)
    user = await place.user(password=None)
    other = await place.sign_in(link=await place.link(await place.user("bob@shop.example", password=None)))
    cookies = [await place.sign_in(link=await place.link(user)) for _ in range(4)]
    found = [(await place.ask("GET", "/session", cookie=cookie)).status for cookie in [*cookies, other]]
    assert found == [401, 401, 200, 200, 200]


async def test_authorization_wins_over_a_cookie(place: House) -> None:
    await place.user(role="viewer")
    cookie = await place.sign_in(email="ada@shop.example", password=PASSWORD)
    key = await place.here.key(place.workspace, "admin", ("track",))
    assert (await place.ask(*WRITE, {}, cookie, **bearer(key))).status == 200
    assert (await place.ask(*READ, None, cookie, **bearer(key))).status == 403
    assert (await place.ask(*READ, None, cookie, Authorization="Bearer nobody")).status == 401


async def test_use_is_noted_once_a_minute_and_a_stream_that_stays_open_is_none(postgres_dsn: str) -> None:
    async with house(postgres_dsn) as place:
        token = await place.sign_in(link=await place.link(await place.user(password=None)))
        clock = Clock()
        known = Sessions(place.here.pool, place.here.pool, clock)
        await place.here.pool.execute("UPDATE session SET seen_at = now() - interval '1 hour'")

        async def unused() -> float:
            passed = "SELECT extract(epoch FROM now() - seen_at)::float8 FROM session"
            found: float = await place.here.pool.fetchval(passed)
            return found

        await known.verify(token, is_use=False)
        assert await unused() > 3000
        await known.verify(token)
        assert await unused() < PATIENCE
        await place.here.pool.execute("UPDATE session SET seen_at = now() - interval '50 seconds'")
        clock.now += remembered.FRESH_SECONDS + 0.1
        await known.verify(token)
        assert await unused() > 49


async def test_while_postgres_is_away_known_sessions_have_a_grace(postgres_dsn: str) -> None:
    async with house(postgres_dsn) as place:
        user = await place.user(password=None)
        known, unknown = [await place.sign_in(link=await place.link(user)) for _ in range(2)]
    clock = Clock()
    pool = await asyncpg.create_pool(postgres_dsn, min_size=0, max_size=2)
    verifier = Sessions(pool, pool, clock)
    holder = await verifier.verify(known)
    await pool.close()
    fresh = remembered.FRESH_SECONDS + 0.1
    for passed in (fresh, 30.0, remembered.GRACE_SECONDS - 30.1 - fresh):
        clock.now += passed
        assert await verifier.verify(known) == holder
        assert await is_refused(verifier, unknown)
    clock.now += 0.2
    assert await is_refused(verifier, known)


async def is_refused(verifier: Sessions, token: str) -> bool:
    with pytest.raises(Unavailable):
        await verifier.verify(token)
    return True


async def test_nobody_signs_in_while_postgres_is_away(place: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    cookie = await place.sign_in(link=await place.link(await place.user()))
    monkeypatch.setattr(asyncpg.Pool, "acquire", away)
    monkeypatch.setattr(asyncpg.Pool, "fetchrow", away)
    monkeypatch.setattr(asyncpg.Pool, "execute", away)
    for method, body in (("POST", {"email": "ada@shop.example", "password": PASSWORD}), ("DELETE", None)):
        seen = await place.ask(method, "/session", body, cookie)
        assert (seen.status, seen.headers["Retry-After"], seen.cookie) == (503, "1", None)


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
    async with house(postgres_dsn, **settings) as place:
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
    async with house(postgres_dsn, **settings) as place:
        key = await place.here.key(place.workspace, "admin", ("track", "analytics"))
        cookie = await place.sign_in(api_key=key)
        given = {name: value.replace("HERE", place.url.removeprefix("http://")) for name, value in headers.items()}
        for method, path in (WRITE, ("PUT", "/v1/campaigns/spring"), ("DELETE", "/v1/sources/x")):
            body: Any = None if method == "DELETE" else {}
            assert (await place.ask(method, path, body, cookie, **given)).status == status
            assert (await place.ask(method, path, body, **bearer(key), **given)).status == 200, "a key is no cookie"
        assert (await place.ask(*READ, None, cookie, **given)).status == 200
        for method, own_body in (("POST", {"api_key": key}), ("DELETE", None)):
            seen = await place.ask(method, "/session", own_body, cookie, **given)
            assert seen.status == (204 if status == 200 else 403)
