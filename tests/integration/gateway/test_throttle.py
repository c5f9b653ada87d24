"""Passwords are tried so often and no oftener, and no try tells whether there is such an account (ADR 0042)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from argon2 import PasswordHasher

from postmeter.gateway.people import passwords, throttle
from postmeter.gateway.people.passwords import Passwords
from postmeter.shared.errors import FieldRefused
from tests.integration.people import ADA, NOBODY, PASSWORD, PeopleGateway, Seen, held, people_gateway, tried
from tests.product import PATIENCE, free_port


@pytest.fixture(autouse=True)
def long_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine, too, no try is free again before a test is over."""
    monkeypatch.setattr(throttle, "WINDOW_SECONDS", 36_000)


@pytest.fixture
async def place(postgres_dsn: str, redis_url: str) -> AsyncIterator[PeopleGateway]:
    async with people_gateway(postgres_dsn, redis_url, trusted_hops=1) as made:
        yield made


async def exhausted(place: PeopleGateway, email: str) -> Seen:
    """The first answer that is not 401, each try from an address of its own."""
    for n in range(throttle.OF_ACCOUNT + 1):
        if (seen := await tried(place, email, address=f"198.51.100.{n}")).status != 401:
            break
    assert n in (throttle.OF_ACCOUNT - 1, throttle.OF_ACCOUNT), "a success before counts, too"
    return seen


async def test_an_account_is_tried_so_often_whether_it_exists_or_not(place: PeopleGateway) -> None:
    await place.user()
    found = []
    for email in (ADA, NOBODY, "no email\0at all"):
        seen = await exhausted(place, email)
        assert seen.status == 429
        assert 0 < int(seen.headers["Retry-After"]) <= throttle.WINDOW_SECONDS / throttle.OF_ACCOUNT
        found.append(seen.body["error"]["code"])
    assert found == ["RATE_LIMITED"] * 3
    assert (await tried(place, f" {ADA.upper()} ", PASSWORD)).status == 429, "however it is spelt"
    assert (await tried(place, "bob@shop.example")).status == 401, "others are not kept waiting"


async def test_who_is_known_is_not_locked_out_by_strangers(place: PeopleGateway) -> None:
    user = await place.user()
    home, elsewhere = "2001:db8:1:2::7", "192.0.2.99"
    assert (await tried(place, password=PASSWORD, address=home)).status == 204
    assert (await exhausted(place, ADA)).status == 429
    assert (await tried(place, password=PASSWORD, address=elsewhere)).status == 429
    assert (await tried(place, password=PASSWORD, address="2001:db8:1:2:ffff::8")).status == 204, "the same /64"
    assert (await tried(place, password=PASSWORD, address="2001:db8:1:3::7")).status == 429, "another one"
    assert (await place.ask("POST", "/session", {"link": await place.link(user)})).status == 204
    wrong = [(await tried(place, address=home)).status for _ in range(throttle.OF_ACCOUNT)]
    assert wrong[-2:] == [401, 429], "but has no more tries than others"


async def test_an_address_tries_so_many_accounts(place: PeopleGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "OF_ADDRESS", 3)
    await place.user()
    found = [(await tried(place, f"{n}@shop.example", address=f"2001:db8::{n + 1}")).status for n in range(4)]
    assert found == [401, 401, 401, 429]
    assert (await tried(place, password=PASSWORD, address="2001:db8::99")).status == 429
    assert (await tried(place, password=PASSWORD, address="2001:db8:0:1::1")).status == 204


async def test_an_address_looks_at_so_many_links(place: PeopleGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "OF_ADDRESS", 3)
    link = {"link": await place.link(await place.user())}
    asked = [await place.ask("POST", "/session/link", link, X_Forwarded_For="192.0.2.1") for _ in range(4)]
    assert [seen.status for seen in asked] == [200, 200, 200, 429]
    assert int(asked[3].headers["Retry-After"]) > 0
    assert (await place.ask("POST", "/session/link", link, X_Forwarded_For="192.0.2.2")).status == 200
    assert (await tried(place, password=PASSWORD)).status == 204, "tries of passwords are others"
    assert (await place.ask("POST", "/session", link, X_Forwarded_For="192.0.2.1")).status == 204


async def test_without_redis_no_password_is_taken_but_what_cannot_be_guessed_is(postgres_dsn: str) -> None:
    async with people_gateway(postgres_dsn) as place:
        user = await place.user()
        seen = await tried(place, password=PASSWORD)
        assert (seen.status, seen.headers["Retry-After"]) == (503, "1")
        link = await place.link(user)
        assert (await place.ask("POST", "/session/link", {"link": link})).status == 503
        await place.sign_in(link=link)
        await place.sign_in(api_key=await place.here.key(place.workspace))


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parameters of each hash that is worked out to compare with."""
    found: list[str] = []
    compare = passwords._matches

    def counting(stored: str, password: bytes) -> bool:
        found.append(stored.rpartition("$")[0].rpartition("$")[0])
        return compare(stored, password)

    monkeypatch.setattr(passwords, "_matches", counting)
    return found


async def test_every_email_costs_one_hash_of_the_same_work(place: PeopleGateway, worked: list[str]) -> None:
    await place.user()
    await place.user("invited@shop.example", password=None)
    await place.user("closed@shop.example")
    await place.here.pool.execute("UPDATE user_account SET disabled_at = now() WHERE email LIKE 'closed%'")
    await place.here.workspace("theirs")
    await place.user(workspace="theirs")
    answers = []
    for email in (ADA, NOBODY, "invited@shop.example", "closed@shop.example", "no email", "a\0@b.example", ""):
        seen = await tried(place, email)
        answers.append((seen.status, seen.body, seen.headers.get("WWW-Authenticate"), seen.cookie))
    assert answers == [answers[0]] * len(answers)
    assert len(worked) == len(answers)
    assert set(worked) == {"$argon2id$v=19$m=19456,t=2,p=1"}
    assert (await tried(place, "closed@shop.example", PASSWORD)).body == answers[0][1]


async def test_an_email_of_several_workspaces_is_the_first_s_unless_one_is_named(place: PeopleGateway) -> None:
    await place.user()
    await place.here.workspace("theirs")
    await place.user(workspace="theirs", role="viewer", password="another password")
    for body, workspace in (
        ({"password": PASSWORD}, "ours"),
        ({"password": PASSWORD, "workspace": "ours"}, "ours"),
        ({"password": "another password", "workspace": "theirs"}, "theirs"),
    ):
        cookie = await place.sign_in(email=ADA, **body)
        assert (await place.ask("GET", "/session", cookie=cookie)).body["data"]["workspace"] == workspace
    for wrong in ({"password": "another password"}, {"password": PASSWORD, "workspace": "nobody\0's"}):
        assert (await place.ask("POST", "/session", {"email": ADA, **wrong})).status == 401


async def test_hashes_are_few_at_once_and_hold_nobody_else_up(
    place: PeopleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "WAITING", 3)
    monkeypatch.setattr(throttle, "OF_ADDRESS", 1000)
    await place.user()
    key = await place.here.key(place.workspace)
    with held(monkeypatch) as (gate, at_once):
        tries = [asyncio.create_task(tried(place, f"{n}@shop.example")) for n in range(20)]
        async with asyncio.timeout(PATIENCE):
            while sum(one.done() for one in tries) < 20 - passwords.AT_ONCE - 3:
                await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED, timeout=0.1)
            busy = [one.result() for one in tries if one.done()]
            assert {(one.status, one.headers["Retry-After"]) for one in busy} == {(503, "2")}
            assert (await place.ask("GET", "/session", Authorization=f"Bearer {key}")).status == 200
            gate.release(20)
            answers = [await one for one in tries]
    let_on = passwords.AT_ONCE + 3
    assert sorted(one.status for one in answers) == [401] * let_on + [503] * (20 - let_on)
    assert max(at_once) == passwords.AT_ONCE


async def test_a_hash_of_older_parameters_is_renewed_at_sign_in(place: PeopleGateway) -> None:
    await place.user()
    weak = PasswordHasher(1, 8, 1).hash(PASSWORD)
    await place.here.pool.execute("UPDATE user_account SET password = $1", weak)
    assert (await tried(place)).status == 401
    assert await place.here.pool.fetchval("SELECT password FROM user_account") == weak
    assert (await tried(place, password=PASSWORD)).status == 204
    renewed: str = await place.here.pool.fetchval("SELECT password FROM user_account")
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await tried(place, password=PASSWORD)).status == 204


async def test_a_password_is_its_letters_however_they_are_typed() -> None:
    verifier = Passwords()
    try:
        stored = await verifier.hash("pa\u0308ssword of many letters")
        assert await verifier.verify(stored, "p\u00e4ssword of many letters")
        assert not await verifier.verify(stored, "passw\u00f6rd of many letters")
        assert not await verifier.verify("no hash at all", PASSWORD)
        assert not await verifier.verify(None, PASSWORD)
    finally:
        verifier.close()


@pytest.mark.parametrize(
    ("password", "is_good"),
    [
        ("x" * 11 + "y", False),
        ("correct horse", True),
        ("abcabcabcabc", True),
        ("eleven char", False),
        ("ada@shop.example", False),
        ("\u00e9" * 513, False),
        ("letters \u00e9 and more", True),
    ],
)
def test_what_a_password_must_be(password: str, is_good: bool) -> None:
    if is_good:
        passwords.check(password, ADA)
        return
    with pytest.raises(FieldRefused) as refused:
        passwords.check(password, ADA)
    assert refused.value.field == "password"


async def test_tries_are_counted(postgres_dsn: str, redis_url: str) -> None:
    port = free_port()
    async with people_gateway(postgres_dsn, redis_url, ops_port=port) as place:
        user = await place.user()
        await place.sign_in(email=ADA, password=PASSWORD)
        for _ in range(throttle.OF_ACCOUNT):
            assert (await tried(place, NOBODY)).status == 401
        assert (await tried(place, NOBODY)).status == 429
        await place.sign_in(link=await place.link(user))
        assert (await place.ask("POST", "/session", {"api_key": "pm_x"})).status == 401
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
    counted: dict[Any, float] = {}
    for line in lines:
        if line.startswith("postmeter_sign_ins_total{"):
            labels, _, value = line.removeprefix("postmeter_sign_ins_total{").partition("} ")
            outcome, way = (part.partition("=")[2].strip('"') for part in sorted(labels.split(",")))
            if float(value):
                counted[way, outcome] = float(value)
    assert counted == {
        ("password", "signed_in"): 1,
        ("password", "refused"): 10,
        ("password", "limited"): 1,
        ("link", "signed_in"): 1,
        ("api_key", "refused"): 1,
    }
