"""How sessions end: by who is signed in, by limits, by rights that were lost; and while Postgres is away (ADR 0042)."""

import uuid

import asyncpg
import pytest

from postmeter.gateway.keys import remembered
from postmeter.gateway.people import sessions
from postmeter.gateway.people.sessions import Sessions
from postmeter.shared.errors import Unavailable
from tests.integration.people import PASSWORD, PeopleGateway, ends, people_gateway
from tests.integration.running_gateway import bearer
from tests.integration.stopped_clock import Clock
from tests.product import PATIENCE

pytestmark = pytest.mark.usefixtures("hurried")


async def test_signing_out_ends_the_session_here_at_once(place: PeopleGateway) -> None:
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


async def test_who_is_signed_in_sees_where_and_signs_out_there(place: PeopleGateway) -> None:
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


async def test_sessions_of_a_key_are_the_key_s_own(place: PeopleGateway) -> None:
    key, another = [await place.here.key(place.workspace, scopes=("track",)) for _ in range(2)]
    cookie, others = await place.sign_in(api_key=key), await place.sign_in(api_key=another)
    (told,) = (await place.ask("GET", "/sessions", **bearer(key))).body["data"]
    assert not told["current"]
    assert (await place.ask("DELETE", f"/sessions/{told['id']}", cookie=others)).status == 404
    assert (await place.ask("DELETE", "/sessions", **bearer(key))).status == 204
    assert (await place.ask("GET", "/session", cookie=cookie)).status == 401
    assert (await place.ask("GET", "/session", cookie=others)).status == 200


async def test_an_open_session_ends_with_its_user_s_right_to_come_in(place: PeopleGateway) -> None:
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
async def test_a_session_ends_by_its_limits(place: PeopleGateway, change: str) -> None:
    await place.user()
    cookie = await place.sign_in(email="ada@shop.example", password=PASSWORD)
    await place.here.pool.execute(f"UPDATE session SET {change}")
    await ends(place, cookie)


async def test_one_user_s_sessions_are_bounded(place: PeopleGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 2)
    user = await place.user(password=None)
    other = await place.sign_in(link=await place.link(await place.user("bob@shop.example", password=None)))
    cookies = [await place.sign_in(link=await place.link(user)) for _ in range(4)]
    found = [(await place.ask("GET", "/session", cookie=cookie)).status for cookie in [*cookies, other]]
    assert found == [401, 401, 200, 200, 200]


async def test_use_is_noted_once_a_minute_and_a_stream_that_stays_open_is_none(postgres_dsn: str) -> None:
    async with people_gateway(postgres_dsn) as place:
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
    async with people_gateway(postgres_dsn) as place:
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


async def test_nobody_signs_in_while_postgres_is_away(place: PeopleGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    cookie = await place.sign_in(link=await place.link(await place.user()))
    monkeypatch.setattr(asyncpg.Pool, "acquire", away)
    monkeypatch.setattr(asyncpg.Pool, "fetchrow", away)
    monkeypatch.setattr(asyncpg.Pool, "execute", away)
    for method, body in (("POST", {"email": "ada@shop.example", "password": PASSWORD}), ("DELETE", None)):
        seen = await place.ask(method, "/session", body, cookie)
        assert (seen.status, seen.headers["Retry-After"], seen.cookie) == (503, "1", None)
