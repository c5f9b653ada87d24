"""Signing in, attacked. Elsewhere: pages of others (test_sessions.py), guessing and telling accounts apart
(test_throttle.py), more rights than one's own (test_users_api.py), providers and their answers (test_oidc.py).
"""

import asyncio
import json
import re
import uuid
from typing import Any

import aiohttp
import pytest

from postmeter.gateway.people import bearer_tokens
from postmeter.gateway.people.links import Purpose
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.table import ENDPOINTS
from tests.integration.people import (
    ADA,
    COOKIE,
    HOST_COOKIE,
    PASSWORD,
    PeopleGateway,
    held,
    nobody_s_token,
    people_gateway,
    tried,
)
from tests.integration.running_gateway import speak
from tests.waiting import until_so

NEW = "a password that is new"
pytestmark = pytest.mark.usefixtures("hurried")


async def status(place: PeopleGateway, cookie: str | None) -> int:
    return (await place.ask("GET", "/session", cookie=cookie)).status


async def test_a_session_that_was_there_before_is_never_the_one_that_signs_in(place: PeopleGateway) -> None:
    """Fixation: whoever planted a cookie, made up or his own, has nothing of who signs in with it."""
    victim, mallory = await place.user(), await place.user("mallory@shop.example", "viewer")
    for planted in (await place.sign_in(link=await place.link(mallory)), nobody_s_token(place.workspace), "x"):
        seen = await place.ask("POST", "/session", {"link": await place.link(victim)}, planted)
        assert seen.status == 204
        assert seen.cookie not in (planted, None)
        assert await status(place, planted) == 401, "and it is over"
        assert await status(place, seen.cookie) == 200


@pytest.mark.parametrize("purpose", Purpose)
async def test_of_many_that_use_a_link_at_once_one_comes_in(place: PeopleGateway, purpose: Purpose) -> None:
    user = await place.user()
    link = await place.link(user, purpose)
    body = {"link": link} | ({} if purpose is Purpose.SIGN_IN else {"password": NEW})
    answers = await asyncio.gather(*(place.ask("POST", "/session", body) for _ in range(12)))
    assert sorted(one.status for one in answers) == [204] + [401] * 11
    assert await place.here.pool.fetchval("SELECT count(*) FROM session WHERE revoked_at IS NULL") == 1
    assert (await place.ask("POST", "/session", body)).status == 401


@pytest.mark.parametrize("purpose", Purpose)
async def test_a_link_that_has_expired_or_is_of_another_is_worth_nothing(
    place: PeopleGateway, purpose: Purpose
) -> None:
    user = await place.user()
    link = await place.link(user, purpose)
    more = {} if purpose is Purpose.SIGN_IN else {"password": NEW}
    number, _, secret = link.partition(".")
    for other in (f"{int(number) + 1}.{secret}", secret, f"{link}A", f"0{link}", f"{link}\n", "", "é" * 45, "9" * 99):
        assert (await place.ask("POST", "/session", {"link": other} | more)).status == 401, other
    await place.here.pool.execute("UPDATE one_time_link SET expires_at = now()")
    assert (await place.ask("POST", "/session", {"link": link} | more)).status == 401
    await place.sign_in(email=ADA, password=PASSWORD)


async def test_what_lets_in_at_one_door_does_not_at_another(place: PeopleGateway) -> None:
    user = await place.user()
    link = await place.link(user)
    cookie = await place.sign_in(link=await place.link(user, Purpose.RESET), password=NEW)
    key = await place.here.key(place.workspace)
    link = await place.link(user)
    for wrong in (link, key):
        assert await status(place, wrong) == 401
    for wrong in (cookie, key):
        assert (await place.ask("POST", "/session", {"link": wrong})).status == 401
    for wrong in (cookie, link):
        assert (await place.ask("POST", "/session", {"api_key": wrong})).status == 401
        assert (await place.ask("GET", "/session", Authorization=f"Bearer {wrong}")).status == 401
    assert (await place.ask("GET", f"/session?{COOKIE}={cookie}")).status == 401
    assert (await place.ask("GET", "/session", X_Postmeter_Session=cookie)).status == 401


async def test_get_and_head_of_anything_use_no_link_up(place: PeopleGateway) -> None:
    """As scanners ask, with the token wherever they may have put it."""
    link = await place.link(await place.user())
    for method in ("GET", "HEAD"):
        for path in (f"/login#sign-in={link}", f"/login?link={link}", f"/session?link={link}", f"/session/{link}"):
            await place.ask_quietly(method, path)
    await place.sign_in(link=link)


async def test_a_cookie_of_another_workspace_is_worth_nothing_in_this_one(place: PeopleGateway) -> None:
    theirs = await place.here.workspace("theirs")
    await place.user(workspace="theirs")
    cookie = await place.sign_in(email=ADA, password=PASSWORD)
    assert (await place.ask("GET", "/session", cookie=cookie)).body["data"]["workspace"] == "theirs"
    assert cookie.startswith(f"{theirs}.")
    moved = f"{place.workspace}.{cookie.partition('.')[2]}"
    assert await status(place, moved) == 401
    _, digest = bearer_tokens.read(moved) or (0, b"")
    found = await place.here.pool.fetchrow("SELECT workspace, hash FROM session")
    assert found is not None
    assert found["workspace"] == theirs
    assert digest != found["hash"]
    await place.ask("DELETE", "/session", cookie=moved)
    assert await status(place, cookie) == 200, "nor to sign out"


def odd_cookies(cookie: str) -> dict[str, bytes]:
    ours = f"{COOKIE}={cookie}"
    other = f"{COOKIE}={nobody_s_token(1)}"
    return {
        "with others around it": f"a=b; {ours}; c".encode(),
        "without spaces": f"a=b;{ours};c=d".encode(),
        "twice the same": f"{ours}; {ours}".encode(),
        "after 40 KB of others": (f"x={'y' * 20_000}; z={'y' * 20_000}; {ours}").encode(),
        "among thousands": ("a=b; " * 5000 + ours).encode(),
        "after one that somebody has made up": f"{other}; {ours}".encode(),
        "before one that somebody has made up": f"{ours}; {other}".encode(),
        "beside an empty one": f"{ours}; {COOKIE}=".encode(),
        "! after more than anybody sets": "".join(f"{COOKIE}={n}; " for n in range(10)).encode() + ours.encode(),
        "! quoted": f'{COOKIE}="{cookie}"'.encode(),
        "! of another case": f"Postmeter_Session={cookie}".encode(),
        "! with a prefix": f"__Host-{ours}".encode(),
        "! in another's value": f"a={ours}".encode(),
        "! empty": f"{COOKIE}=".encode(),
        "! nothing but the name": COOKIE.encode(),
        "! cut": ours[:-1].encode(),
        "! longer": f"{ours}A".encode(),
        "! very long": f"{COOKIE}={'9' * 50_000}".encode(),
        "! encoded": f"{COOKIE}={cookie.replace('.', '%2E')}".encode(),
        "! no text": f"{COOKIE}=".encode() + b"\xff\xfe\x80",
        "! SQL": f"{COOKIE}=1.' OR 1=1 --".encode(),
        "! a workspace that no integer holds": f"{COOKIE}=9999999999.{cookie.partition('.')[2]}".encode(),
        "! separated by a comma": f"a=b, {ours}".encode(),
    }


@pytest.mark.parametrize("kind", odd_cookies("1.x"))
async def test_odd_cookies(place: PeopleGateway, kind: str) -> None:
    cookie = await place.sign_in(link=await place.link(await place.user()))
    head = b"GET /session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: " + odd_cookies(cookie)[kind]
    answer = await speak(place.url, head + b"\r\n\r\n")
    expected = b"HTTP/1.1 401 " if kind.startswith("!") else b"HTTP/1.1 200 "
    assert answer.startswith(expected), answer[:200]
    assert await status(place, cookie) == 200


async def test_two_cookie_headers_are_read_as_one(place: PeopleGateway) -> None:
    cookie = await place.sign_in(link=await place.link(await place.user()))
    other = await place.sign_in(link=await place.link(await place.user("bob@shop.example")))
    for second, expected in ((f"{COOKIE}={other}", b" 401 "), ("a=b", b" 200 ")):
        head = f"GET /session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {second}\r\nCookie: {COOKIE}={cookie}"
        assert expected in (await speak(place.url, head.encode() + b"\r\n\r\n"))[:20]


async def test_a_session_of_another_that_a_neighbour_has_set_keeps_nobody_out(place: PeopleGateway) -> None:
    """Whose host is of our domain may set a cookie of our name for us, which comes with each request from then on."""
    victim, mallory = await place.user(), await place.user("mallory@shop.example", "viewer")
    tossed = await place.sign_in(link=await place.link(mallory))
    cookie = await place.sign_in(link=await place.link(victim))
    both = f"{tossed}; {COOKIE}={cookie}"
    assert await status(place, both) == 401, "nothing tells whose it is"
    seen = await place.ask("POST", "/session", {"link": await place.link(victim)}, both)
    told = await place.ask("GET", "/session", cookie=f"{tossed}; {COOKIE}={seen.cookie}")
    assert told.body["data"]["email"] == ADA
    assert await status(place, tossed) == await status(place, cookie) == 401

    tossed = await place.sign_in(link=await place.link(mallory))
    out = await place.ask("DELETE", "/session", cookie=f"{tossed}; {COOKIE}={seen.cookie}", Host="a.shop.example:8080")
    assert await status(place, tossed) == await status(place, seen.cookie or "") == 401
    cleared = [said for said in out.headers.getall("Set-Cookie") if "max-age=0" in said.lower()]
    domains = [re.findall(r"(?i)domain=([^;]+)", said) for said in cleared]
    assert sorted(domains) == [[], ["a.shop.example"], ["shop.example"]]


async def test_over_https_only_a_cookie_that_no_neighbour_can_set_counts(postgres_dsn: str) -> None:
    async with people_gateway(postgres_dsn, public_gateway_url="https://a.shop.example") as place:
        victim, mallory = await place.user(), await place.user("mallory@shop.example", "viewer")
        given = await place.ask("POST", "/session", {"link": await place.link(mallory)})
        parts = {part.strip().lower() for part in given.headers["Set-Cookie"].split(";")[1:]}
        assert {"secure", "path=/"} < parts
        assert not [part for part in parts if part.startswith("domain")], "else a browser does not take it"
        tossed = f"{COOKIE}={given.cookie}"
        assert (await place.ask("GET", "/session", Cookie=tossed)).status == 401
        own = await place.sign_in(link=await place.link(victim))
        both = f"{tossed}; {HOST_COOKIE}={own}"
        assert (await place.ask("GET", "/session", Cookie=both)).body["data"]["email"] == ADA
        out = await place.ask("DELETE", "/session", Cookie=both)
        (taken,) = (said for said in out.headers.getall("Set-Cookie") if said.startswith(HOST_COOKIE))
        assert "secure" in taken.lower()
        for ended in (given.cookie, own):
            assert await status(place, ended) == 401


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 400),
        (b"null", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"email": "a@b.example"}', 400),
        (b'{"email": "a@b.example", "password": null}', 400),
        (b'{"email": ["a@b.example"], "password": "x"}', 400),
        (b'{"email": {"$ne": ""}, "password": {"$ne": ""}}', 400),
        (b'{"email": "a@b.example", "password": "x", "role": "admin"}', 400),
        (b'{"email": "a@b.example", "password": "x", "api_key": "pm_x"}', 400),
        (b'{"link": "1.x", "workspace": "ours"}', 400),
        (b'{"api_key": 1}', 400),
        (b'{"api_key": "pm_\\u0000"}', 401),
        (b'{"link": "\\u0000"}', 401),
        (b'{"email": "\\u0000", "password": "\\u0000"}', 401),
        (b'{"email": "\\ud800", "password": "x"}', 400),
        (b'{"email": "a@b.example", "password": "\xff"}', 400),
        (b'{"email": "a@b.example", "password": "x", "workspace": "\\u0000"}', 401),
        (b'{"email": "a@b.example", "password": "' + b"x" * 1025 + b'"}', 400),
        (b'{"email": "' + b"x" * 10_000 + b'", "password": "x"}', 401),
        (b'{"email": "a@b.example", "password": "' + b"x" * 20_000 + b'"}', 413),
        (b'{"email": ' + b"[" * 8000, 400),
        (b"email=a%40b.example&password=x", 400),
    ],
    ids=lambda value: str(value[:40]) if isinstance(value, bytes) else None,
)
async def test_odd_bodies_sign_nobody_in(place: PeopleGateway, body: bytes, expected: int) -> None:
    async with place.session.post(f"{place.url}/session", data=body) as answer:
        told = await answer.read()
        assert (answer.status, COOKIE in answer.cookies) == (expected, False), told
        assert list(json.loads(told)) == ["error"]
    assert await place.here.pool.fetchval("SELECT count(*) FROM session") == 0


@pytest.mark.parametrize("media", ["text/plain", "multipart/form-data; boundary=x", "image/png"])
async def test_a_form_of_another_page_is_not_json(place: PeopleGateway, media: str) -> None:
    body = json.dumps({"link": await place.link(await place.user())}).encode()
    async with place.session.post(f"{place.url}/session", data=body, headers={"Content-Type": media}) as answer:
        assert answer.status == 415


KEYED = [endpoint for endpoint in ENDPOINTS if endpoint.scope is not None]
READING_POSTS = {
    ("POST", "/v1/query"),
    ("POST", "/v1/messages/search"),
    ("POST", "/api/v1/workspaces/{workspaceId}/analytics/compare"),
    ("POST", "/api/v1/workspaces/{workspaceId}/analytics/export"),
}
"""What is not a GET and is allowed to whoever may only look."""


@pytest.mark.parametrize("domains", [None, ["shop.example"]])
async def test_a_viewer_writes_nothing_anywhere(place: PeopleGateway, domains: Any) -> None:
    await place.user(role="viewer", domains=domains)
    cookie = await place.sign_in(email=ADA, password=PASSWORD)
    refused = {
        (endpoint.method, endpoint.path)
        for endpoint in KEYED
        if (await place.ask_quietly(endpoint.method, filled(endpoint), cookie, b"{}")) == 403
    }
    writes = {(endpoint.method, endpoint.path) for endpoint in KEYED if endpoint.method != "GET"}
    assert writes - refused == READING_POSTS
    others = {(endpoint.method, endpoint.path) for endpoint in KEYED if endpoint.scope != "analytics"}
    assert others <= refused
    assert not [request for request in place.asked if request.method not in ("GET", "POST")]


def filled(endpoint: Endpoint) -> str:
    return re.sub(r"\{\w+\}", "x", endpoint.path)


async def test_a_password_that_was_reset_while_it_was_tried_lets_nobody_in(
    place: PeopleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = await place.link(await place.user(), Purpose.RESET)
    with held(monkeypatch) as (gate, at_once):
        late = asyncio.create_task(tried(place, password=PASSWORD))
        await until_so(lambda: len(at_once) > 1)
        cookie = await place.sign_in(link=link, password=NEW)
        gate.release(1)
        assert (await late).status == 401
    assert await status(place, cookie) == 200
    assert await place.here.pool.fetchval("SELECT count(*) FROM session WHERE revoked_at IS NULL") == 1


async def test_an_account_that_was_disabled_while_its_password_was_tried_lets_nobody_in(
    place: PeopleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.user()
    with held(monkeypatch) as (gate, at_once):
        late = asyncio.create_task(tried(place, password=PASSWORD))
        await until_so(lambda: len(at_once) > 1)
        await place.here.pool.execute("UPDATE user_account SET disabled_at = now()")
        gate.release(1)
        assert (await late).status == 401
    assert await place.here.pool.fetchval("SELECT count(*) FROM session") == 0


async def test_who_signs_in_while_he_is_disabled_is_in_nowhere_after_it(place: PeopleGateway) -> None:
    """Whichever comes first."""
    cookie = await place.sign_in(link=await place.link(await place.user()))
    for n in range(6):
        email = f"bob{n}@shop.example"
        number, user = await place.user(email)
        tries = [place.ask("POST", "/session", {"link": await place.link((number, user))})]
        tries += [tried(place, email, PASSWORD) for _ in range(2)]
        disabling = place.ask("PATCH", f"/v1/users/{user}", {"disabled": True}, cookie)
        *_, done = await asyncio.gather(*tries, disabling)
        assert done.status == 200
        left = "SELECT count(*) FROM session WHERE user_account = $1 AND revoked_at IS NULL"
        assert await place.here.pool.fetchval(left, uuid.UUID(user)) == 0


async def test_nothing_that_lets_in_is_kept_logged_or_repeated(
    place: PeopleGateway, capfd: pytest.CaptureFixture[str]
) -> None:
    user = await place.user()
    link, reset = await place.link(user), await place.link(user, Purpose.RESET)
    wrong = "a wrong password that nobody has"
    answers = [await tried(place, password=wrong), await place.ask("POST", "/session", {"link": reset + "x"})]
    cookies = [await place.sign_in(link=link), await place.sign_in(link=reset, password=NEW)]
    answers += [await place.ask("GET", "/session", cookie=cookie) for cookie in [*cookies, cookies[0] + "x"]]
    secrets = [PASSWORD, NEW, wrong, *(text.partition(".")[2] for text in (link, reset, *cookies))]
    kept = [
        str(dict(row))
        for table in ("user_account", "one_time_link", "session")
        for row in await place.here.pool.fetch(f"SELECT * FROM {table}")
    ]
    out, err = capfd.readouterr()
    told = "".join([*kept, out, err, *(f"{one.body}{one.headers}" for one in answers)])
    assert [secret for secret in secrets if secret in told] == []
    assert {one.headers["Cache-Control"] for one in answers} == {"no-store"}


async def test_a_cookie_opens_nothing_on_the_ports_behind(place: PeopleGateway) -> None:
    """It is the gateway's: services take principals, and the gateway passes no cookie on."""
    cookie = await place.sign_in(link=await place.link(await place.user()))
    assert (await place.ask("GET", "/api/v1/analytics", cookie=cookie)).status == 200
    assert not {"Cookie", "Authorization", "Origin"} & {*place.asked[-1].headers}


async def test_a_client_that_goes_while_its_password_is_tried_holds_no_turn(
    place: PeopleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.user()
    with held(monkeypatch) as (gate, _):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as session:
            for n in range(3):
                with pytest.raises(TimeoutError):
                    await session.post(f"{place.url}/session", json={"email": f"{n}@b.example", "password": "x"})
        gate.release(100)
        assert (await tried(place, password=PASSWORD)).status == 204
