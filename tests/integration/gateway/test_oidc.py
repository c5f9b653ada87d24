"""Signing in at an OpenID provider: a real one on loopback, and hostile ones that a test plays (ADR 0042)."""

import asyncio
import base64
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import flask
import pytest
from aiohttp import web
from joserfc.jwk import KeySet

from postmeter.gateway.people.oidc import provider, routes
from postmeter.gateway.people.oidc.provider import NotSignedIn, Provider, ProviderAway
from postmeter.gateway.settings import is_endpoint
from postmeter.shared.http import concurrency as turns
from tests.integration.identity_provider import EC, NONCE, Played, at, played, token
from tests.integration.people import PeopleGateway, people_gateway
from tests.integration.running_gateway import service
from tests.product import PATIENCE, free_port

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")
ADA, NEW, UNSURE, NAMELESS = "ada", "new", "unsure", "nameless"
PEOPLE = {
    ADA: {"email": "Ada@Shop.example", "email_verified": True},
    NEW: {"email": "new@shop.example", "email_verified": True},
    UNSURE: {"email": "ada@shop.example", "email_verified": False},
    NAMELESS: {"email_verified": True},
}


@dataclass
class Elsewhere:
    """A provider, and the requests for tokens that it got."""

    issuer: str
    exchanges: list[dict[str, str]] = field(default_factory=list)
    basic: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    import oidc_provider_mock  # half a second, and each process of the tests reads this module

    claims = [oidc_provider_mock.User(sub=sub, claims=about) for sub, about in PEOPLE.items()]
    with oidc_provider_mock.run_server_in_thread(user_claims=claims, require_nonce=True) as server:
        made = Elsewhere(f"http://localhost:{server.server_port}")

        def noted() -> None:
            if flask.request.path == "/oauth2/token":
                made.exchanges.append(flask.request.form.to_dict())
                made.basic.append(flask.request.headers.get("Authorization", ""))

        server.app.before_request(noted)
        yield made


@pytest.fixture
async def place(postgres_dsn: str, elsewhere: Elsewhere) -> AsyncIterator[PeopleGateway]:
    async with at(postgres_dsn, elsewhere.issuer) as made:
        await made.user(password=None, role="viewer")
        yield made


@dataclass(frozen=True)
class Came:
    """Where a browser was sent, and the cookies that it was given."""

    to: str
    cookies: dict[str, str]


async def go(place: PeopleGateway, url: str, cookies: dict[str, str] | None = None) -> Came:
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())}
    async with place.session.get(url, headers=headers, allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        return Came(answer.headers["Location"], {name: morsel.value for name, morsel in answer.cookies.items()})


async def begun(place: PeopleGateway, query: str = "") -> Came:
    return await go(place, f"{place.url}/session/oidc{query}")


async def allowed(place: PeopleGateway, began: Came, who: str) -> str:
    """The URL that the provider sends the browser back to, when somebody has signed in there."""
    async with place.session.post(began.to, data={"sub": who}, allow_redirects=False) as answer:
        assert answer.status in (302, 303), await answer.text()
        return answer.headers["Location"]


async def signed_in(place: PeopleGateway, who: str = ADA, query: str = "") -> Came:
    began = await begun(place, query)
    return await go(place, await allowed(place, began, who), began.cookies)


async def test_somebody_who_was_invited_comes_in(place: PeopleGateway, elsewhere: Elsewhere) -> None:
    began = await begun(place)
    asked = {name: value for name, (value,) in parse_qs(urlsplit(began.to).query).items()}
    assert asked["scope"] == "openid email"
    assert asked["redirect_uri"] == f"{place.url}/session/oidc/callback"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert list(began.cookies) == ["postmeter_oidc"]
    came = await go(place, await allowed(place, began, ADA), began.cookies)
    assert (came.to, came.cookies["postmeter_oidc"]) == ("/", "")
    told = await place.ask("GET", "/session", cookie=came.cookies["postmeter_session"])
    assert (told.body["data"]["email"], told.body["data"]["role"]) == ("ada@shop.example", "viewer")
    exchanged = elsewhere.exchanges[-1]
    digest = hashlib.sha256(exchanged["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
    given = base64.b64decode(elsewhere.basic[-1].removeprefix("Basic ")).decode()
    assert given == "postmeter:of%20the%20client%3A%2B%20%25"
    again = parse_qs(urlsplit((await begun(place)).to).query)
    assert all([asked[name]] != again[name] for name in ("state", "nonce", "code_challenge"))
    assert not {asked["state"], asked["nonce"], exchanged["code_verifier"]} & {*began.cookies.values()}


@pytest.mark.parametrize(
    ("who", "word"), [(NEW, "unknown"), (UNSURE, "refused"), (NAMELESS, "refused"), ("nobody", "refused")]
)
async def test_nobody_else_does(place: PeopleGateway, who: str, word: str) -> None:
    came = await signed_in(place, who)
    assert (came.to, came.cookies) == (f"/login#oidc={word}", {"postmeter_oidc": ""})
    assert await place.here.pool.fetchval("SELECT count(*) FROM user_account") == 1


async def test_nor_who_was_disabled(place: PeopleGateway) -> None:
    await place.here.pool.execute("UPDATE user_account SET disabled_at = now()")
    assert (await signed_in(place)).to == "/login#oidc=unknown"
    assert await place.here.pool.fetchval("SELECT count(*) FROM session") == 0


async def test_a_workspace_can_be_named(place: PeopleGateway) -> None:
    await place.here.workspace("theirs")
    await place.user(workspace="theirs", password=None, role="admin")
    for query, workspace in (("", "ours"), ("?workspace=theirs", "theirs"), ("?workspace=ours", "ours")):
        came = await signed_in(place, query=query)
        told = await place.ask("GET", "/session", cookie=came.cookies["postmeter_session"])
        assert told.body["data"]["workspace"] == workspace
    assert (await signed_in(place, query="?workspace=nobody")).to == "/login#oidc=unknown"
    assert (await begun(place, "?workspace=a%00b")).to == "/login#oidc=refused"


async def test_what_comes_back_is_for_the_browser_that_began(place: PeopleGateway) -> None:
    """Else somebody signs another one in to his own account, or takes what was meant for another one."""
    mine, theirs = await begun(place), await begun(place)
    back = await allowed(place, mine, ADA)
    parts = urlsplit(back)
    given = {name: value for name, (value,) in parse_qs(parts.query).items()}
    callback = f"{place.url}/session/oidc/callback"
    other = {name: value for name, (value,) in parse_qs(urlsplit(theirs.to).query).items()}
    for url, cookies in (
        (back, {}),
        (back, theirs.cookies),
        (f"{callback}?code={given['code']}", mine.cookies),
        (f"{callback}?code={given['code']}&state=", mine.cookies),
        (f"{callback}?code={given['code']}&state=%C3%A9", mine.cookies),
        (f"{callback}?code={given['code']}&state={other['state']}", mine.cookies),
        (f"{callback}?state={given['state']}", mine.cookies),
        (f"{callback}?error=access_denied&state={given['state']}", mine.cookies),
        (f"{back}&iss=https%3A%2F%2Fevil.example", mine.cookies),
        (back, {"postmeter_oidc": "x"}),
        (back, {"postmeter_oidc": mine.cookies["postmeter_oidc"] + ".x"}),
        (callback, {}),
        (f"{callback}?{'a=b&' * 200}", mine.cookies),
    ):
        came = await go(place, url, cookies)
        assert came.to == "/login#oidc=refused", url
        assert "postmeter_session" not in came.cookies
    came = await go(place, back, mine.cookies)
    assert came.to == "/", "and none of that has used it up"
    assert (await go(place, back, mine.cookies)).to == "/login#oidc=refused", "a code is good once"


async def test_a_code_of_another_nonce_is_refused(place: PeopleGateway) -> None:
    """A code that was taken on its way to another browser, with that browser's state guessed."""
    mine, theirs = await begun(place), await begun(place)
    stolen = parse_qs(urlsplit(await allowed(place, theirs, ADA)).query)["code"][0]
    state = parse_qs(urlsplit(mine.to).query)["state"][0]
    came = await go(place, f"{place.url}/session/oidc/callback?code={stolen}&state={state}", mine.cookies)
    assert came.to == "/login#oidc=refused"


async def test_a_provider_that_is_away_is_told_and_breaks_nothing(postgres_dsn: str) -> None:
    async with at(postgres_dsn, f"http://127.0.0.1:{free_port()}") as place:
        assert (await begun(place)).to == "/login#oidc=unavailable"
        await place.sign_in(link=await place.link(await place.user(password=None)))


async def test_a_provider_that_hangs_holds_few_up(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.1)
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await release.wait()
        return web.json_response({})

    async with service(hang) as issuer, at(postgres_dsn, issuer) as place:
        tries = {asyncio.create_task(begun(place)) for _ in range(routes.OF_ONE + 5)}
        async with asyncio.timeout(PATIENCE):
            told: set[asyncio.Task[Came]] = set()
            while len(told) < 5:
                told |= (await asyncio.wait(tries - told, return_when=asyncio.FIRST_COMPLETED))[0]
        assert {one.result().to for one in told} == {"/login#oidc=unavailable"}
        assert len(tries - told) == routes.OF_ONE
        assert (await place.ask("GET", "/session/ways")).status == 200
        release.set()
        assert {one.to for one in await asyncio.gather(*tries)} == {"/login#oidc=unavailable"}


async def test_where_none_is_configured_nothing_is_offered(postgres_dsn: str) -> None:
    async with people_gateway(postgres_dsn) as place:
        assert (await place.ask("GET", "/session/ways")).body == {"data": {"oidc": None}}
        assert (await begun(place)).to == "/login#oidc=off"
        assert (await go(place, f"{place.url}/session/oidc/callback?code=x&state=y")).to == "/login#oidc=refused"


async def test_where_one_is_configured_it_is_offered_by_name(postgres_dsn: str, elsewhere: Elsewhere) -> None:
    async with at(postgres_dsn, elsewhere.issuer, oidc_label="Our directory") as place:
        ways = (await place.ask("GET", "/session/ways")).body
        assert ways == {"data": {"oidc": {"label": "Our directory", "path": "/session/oidc"}}}


async def email(asking: Provider) -> str:
    return await asking.email("code", "https://here.example/session/oidc/callback", NONCE, "verifier", None)


async def test_codes_that_a_stranger_makes_up_take_nobody_else_s_turn(postgres_dsn: str) -> None:
    acting, held, codes = Played(), asyncio.Event(), list[str]()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/token_endpoint":
            codes.append(str((await request.post())["code"]))
            await held.wait()
        return await acting.answer(request)

    async with service(answer) as acting.url, at(postgres_dsn, acting.url, trusted_hops=1) as place:
        begun = "x" * 43
        state, *_ = routes._secrets(begun)

        async def comes(address: str, code: str) -> str:
            headers = {"Cookie": f"postmeter_oidc={begun}", "X-Forwarded-For": address}
            url = f"{place.url}/session/oidc/callback?code={code}&state={state}"
            async with place.session.get(url, headers=headers, allow_redirects=False) as answered:
                return answered.headers["Location"]

        coming = [asyncio.create_task(comes("192.0.2.1", "made-up")) for _ in range(2 * routes.AT_ONCE)]
        async with asyncio.timeout(PATIENCE):
            while len(codes) < routes.OF_ONE:
                await asyncio.wait(coming, timeout=0.01)
            coming.append(asyncio.create_task(comes("198.51.100.1", "given")))
            while "given" not in codes and not coming[-1].done():
                await asyncio.wait(coming[-1:], timeout=0.01)
        held.set()
        await asyncio.gather(*coming)
    assert "given" in codes


async def test_who_comes_back_with_nothing_a_hundred_times_is_told_seldom(
    place: PeopleGateway, capfd: pytest.CaptureFixture[str]
) -> None:
    url, cookies = f"{place.url}/session/oidc/callback?code=c&state=s", {"postmeter_oidc": "x" * 43}
    assert {(await go(place, url, cookies)).to for _ in range(100)} == {"/login#oidc=refused"}
    assert 1 <= "".join(capfd.readouterr()).count("refused here") < 20  # one in ten seconds


async def test_an_email_that_is_in_userinfo_alone_is_found_there() -> None:
    async with played() as (acting, asking, _):
        acting.claims = {"email": None}
        acting.userinfo = {"sub": "1", "email": "b@b.example", "email_verified": True}
        assert await email(asking) == "b@b.example"
        for wrong in ({"sub": "2"}, {"sub": None}, {"email_verified": "true"}, {"email": ["a@b.example"]}):
            acting.userinfo = {"sub": "1", "email": "b@b.example", "email_verified": True} | wrong
            with pytest.raises(NotSignedIn):
                await email(asking)


async def test_keys_that_change_are_asked_for_again_and_not_for_every_token() -> None:
    async with played() as (acting, asking, clock):
        assert await email(asking) == "a@b.example"
        acting.keys = KeySet([EC]).as_dict(private=False)
        acting.tokens = lambda: web.json_response(
            {"id_token": token(EC, "ES256", "ec", iss=acting.url, email_verified=True)}
        )
        acting.metadata = {"id_token_signing_alg_values_supported": ["RS256", "ES256"]}
        clock.now += provider.REMEMBERED_SECONDS - 1
        for _ in range(3):
            with pytest.raises(NotSignedIn, match="not good"):  # of the algorithms that are remembered
                await email(asking)
        clock.now += 2
        assert await email(asking) == "a@b.example"
        acting.tokens = lambda: web.json_response({"id_token": token(kid="another", iss=acting.url)})
        for _ in range(5):
            with pytest.raises(NotSignedIn, match="does not publish"):
                await email(asking)
        assert acting.asked.count("/jwks_uri") <= 3


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"userinfo_endpoint": "http://evil.example/userinfo"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": "https://["},
        {"token_endpoint": 1},
        {"authorization_endpoint": "https://id.example/a\r\nSet-Cookie: a=b"},
        {"jwks_uri": "https://id.example/a b"},
    ],
)
async def test_a_provider_that_describes_itself_wrongly_is_not_used(metadata: dict[str, Any]) -> None:
    async with played() as (acting, asking, _):
        acting.metadata = metadata
        with pytest.raises(ProviderAway):
            await asking.authorization_url("https://here.example", "s", "n", "c")
        with pytest.raises(ProviderAway):
            await email(asking)
        assert set(acting.asked) == {"/.well-known/openid-configuration"}


def test_a_provider_elsewhere_does_not_have_us_ask_what_listens_here() -> None:
    for url in ("http://127.0.0.1:6379/", "http://localhost/", "http://[::1]/jwks", "https://localhost:8443/token"):
        assert is_endpoint(url, "http://localhost:1234")
        assert is_endpoint(url, "https://localhost:8443")
        assert not is_endpoint(url, "https://id.example")
    assert is_endpoint("https://keys.example/jwks", "https://id.example")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: web.json_response({"error": "invalid_grant"}, status=400), NotSignedIn),
        (lambda: web.json_response({}, status=500), ProviderAway),
        (lambda: web.Response(text="<html>"), ProviderAway),
        (lambda: web.json_response([]), ProviderAway),
        (lambda: web.json_response({"id_token": 1}), ProviderAway),
        (lambda: web.Response(body=b'{"more": ' + b"[" * 500_000), ProviderAway),
        (lambda: web.Response(body=b'{"id_token": "' + b"x" * (2 << 20) + b'"}'), ProviderAway),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), ProviderAway),
        (lambda: web.json_response({"id_token": "x.y.z"}), NotSignedIn),
    ],
)
async def test_tokens_that_are_none_let_nobody_in(answer: Any, error: type[Exception]) -> None:
    async with played() as (acting, asking, _):
        acting.tokens = answer
        with pytest.raises(error):
            await email(asking)


async def test_keys_that_are_none_let_nobody_in() -> None:
    async with played() as (acting, asking, _):
        none: list[Any] = [{}, [], {"keys": 1}, {"keys": [{"kty": "RSA"}]}, {"keys": []}]
        for keys in none:
            acting.keys = keys
            with pytest.raises((ProviderAway, NotSignedIn)):
                await email(asking)


def test_a_gateway_without_a_provider_does_not_load_what_judges_tokens() -> None:
    code = "import sys, postmeter.gateway.service; sys.exit('authlib' in sys.modules or 'joserfc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
