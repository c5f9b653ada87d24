"""People before a real gateway: users, links and browsers' cookies; behind it a service that tells who asks."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from postmeter.gateway.people import links, passwords, users
from postmeter.gateway.people.links import Purpose
from postmeter.gateway.people.passwords import Passwords
from postmeter.shared.auth.principal import Principal
from postmeter.shared.auth.secret import Secret
from tests import sealing
from tests.integration.running_gateway import gateway, service
from tests.integration.running_query import Workspaces, workspaces
from tests.product import PATIENCE

PASSWORD = "correct horse battery"
READ = ("GET", "/api/v1/analytics")
"""What everybody may who is signed in."""
ADA, NOBODY = "ada@shop.example", "nobody@shop.example"
COOKIE = "postmeter_session"
HOST_COOKIE = "__Host-postmeter_session"
"""Its name over https."""


@dataclass(frozen=True)
class Seen:
    """An answer."""

    status: int
    body: Any
    headers: CIMultiDict[str]
    cookie: str | None
    """What the browser was told to keep; empty: to forget it."""


@dataclass
class PeopleGateway:
    """A gateway, a workspace, and requests as browsers and others send them."""

    here: Workspaces
    url: str
    session: aiohttp.ClientSession
    workspace: int
    asked: list[web.Request] = field(default_factory=list)
    cookie: str = COOKIE
    """Its name."""

    async def ask(self, method: str, path: str, body: Any = None, cookie: str | None = None, **headers: str) -> Seen:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if cookie is not None:
            given["Cookie"] = f"{self.cookie}={cookie}"
        async with self.session.request(method, self.url + path, json=body, headers=given) as answer:
            text = await answer.read()
            said = answer.cookies.get(self.cookie)
            told = await answer.json() if text else None
            return Seen(answer.status, told, answer.headers.copy(), None if said is None else said.value)

    async def ask_quietly(self, method: str, path: str, cookie: str | None = None, body: bytes = b"") -> int:
        """The status of an answer that need not be JSON."""
        headers = {} if cookie is None else {"Cookie": f"{self.cookie}={cookie}"}
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status

    async def sign_in(self, **body: str) -> str:
        """The cookie's value."""
        seen = await self.ask("POST", "/session", body)
        assert seen.status == 204, seen.body
        assert seen.cookie
        return seen.cookie

    async def user(
        self,
        email: str = "ada@shop.example",
        role: str = "admin",
        domains: list[str] | None = None,
        password: str | None = PASSWORD,
        workspace: str = "ours",
    ) -> tuple[int, str]:
        async with self.here.pool.acquire() as connection:
            made = await users.create(connection, workspace, email, role, domains)
            if password is not None:
                await users.set_password(connection, *made, await _hash(password))
        return made

    async def link(self, user: tuple[int, str], purpose: Purpose = Purpose.SIGN_IN) -> str:
        async with self.here.pool.acquire() as connection, connection.transaction():
            return await links.make(connection, *user, purpose)

    def principal(self) -> Principal:
        """Of the last request that was passed on."""
        asked = self.asked[-1]
        return sealing.opened(asked.headers, asked.method, asked.raw_path)


_hashes: dict[str, str] = {}


async def _hash(password: str) -> str:
    """The same one each time: the tests need many users, and few hashes."""
    if password not in _hashes:
        passwords = Passwords()
        _hashes[password] = await passwords.hash(password)
        passwords.close()
    return _hashes[password]


@asynccontextmanager
async def people_gateway(dsn: str, redis_url: str | None = None, /, **settings: Any) -> AsyncIterator[PeopleGateway]:
    """redis_url: without it nobody signs in by password."""
    if redis_url is not None:
        settings["redis_url"] = Secret(redis_url)
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response({"data": "of the service"})

    async with (
        workspaces(dsn) as here,
        service(answer) as upstream,
        gateway(dsn, query_url=upstream, tracking_url=upstream, **settings) as url,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        name = HOST_COOKIE if str(settings.get("public_gateway_url", "")).startswith("https") else COOKIE
        yield PeopleGateway(here, url, session, await here.workspace("ours"), asked, name)


def nobody_s_token(workspace: int) -> str:
    """Of the right form."""
    return f"{workspace}.{uuid.uuid4().hex:A<43}"


async def tried(place: PeopleGateway, email: str = ADA, password: str = "wrong", address: str = "192.0.2.1") -> Seen:
    """The answer to a sign-in by password from an address."""
    return await place.ask("POST", "/session", {"email": email, "password": password}, X_Forwarded_For=address)


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Semaphore, list[int]]]:
    """Hashes wait until they are let on; how many were worked out at once."""
    gate, at_once = threading.Semaphore(0), [0]
    compare, lock, now = passwords._matches, threading.Lock(), [0]

    def waiting(stored: str, password: bytes) -> bool:
        with lock:
            now[0] += 1
            at_once.append(now[0])
        gate.acquire(timeout=PATIENCE)
        try:
            return compare(stored, password)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(passwords, "_matches", waiting)
    yield gate, at_once
    gate.release(1000)


async def ends(place: PeopleGateway, cookie: str) -> None:
    """Within seconds, and for good."""
    async with asyncio.timeout(PATIENCE):
        while (seen := await place.ask(*READ, cookie=cookie)).status == 200:
            pass
    assert (seen.status, seen.body["error"]["code"]) == (401, "UNAUTHORIZED")
