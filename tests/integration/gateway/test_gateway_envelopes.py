"""Every error that the gateway itself gives, on every path, has the envelope of the document whose path was called."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from yarl import URL

from postmeter.gateway import routes
from postmeter.gateway.limits import limits
from postmeter.gateway.proxy import upstream
from postmeter.shared.apis.document import NATIVE, Document
from postmeter.shared.apis.documents import krafter, misar, optail, vectis, workspaces
from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.apis.endpoint import Endpoint, Limit, Service
from postmeter.shared.apis.mail import webhooks
from postmeter.shared.apis.table import DOCUMENTS, ENDPOINTS, document_of
from postmeter.shared.auth.secret import Secret
from tests.integration.running_gateway import NOWHERE, SCOPES, bearer, client, gateway, path_of, service, speak
from tests.integration.running_query import workspaces as stored_workspaces

KEYED = [endpoint for endpoint in ENDPOINTS if endpoint.scope]
PASSED_ON = [
    endpoint
    for endpoint in ENDPOINTS
    if endpoint.service is not Service.GATEWAY
    and endpoint.path != webhooks.PATH  # an unknown source is a 404
    and not endpoint.path.startswith((OPEN_PATH, CLICK_PATH))  # hits are answered whatever is down
]
UNKNOWN = {
    "/api/v1/nothing": vectis.DOCUMENT,
    "/v1/metrics/nothing": optail.DOCUMENT,
    "/v1/messages/a/b": optail.DOCUMENT,
    "/api/v1/workspaces/w/nothing": workspaces.DOCUMENT,
    "/api/v1/analytics/nothing": misar.DOCUMENT,
    "/api/v1/track/event/nothing": misar.DOCUMENT,
    "/mail/v1/nothing": misar.DOCUMENT,
    "/api/v1/track/purchase/nothing": misar.DOCUMENT,
    "/api/v1/mail/nothing": krafter.DOCUMENT,
    "/v1/nothing": NATIVE,
    "/nothing": NATIVE,
}


def shape(document: Document, answer: Any) -> tuple[str, str]:
    """(code, message) of an answer that is exactly the document's envelope."""
    if document is misar.DOCUMENT:
        assert list(answer) == ["success", "error", "error_type"]
        assert answer["success"] is False
        return answer["error_type"], answer["error"]
    expected = {vectis.DOCUMENT: ["error", "meta"], workspaces.DOCUMENT: ["success", "error"]}
    assert list(answer) == expected.get(document, ["error"])
    assert answer.get("success", False) is False
    assert list(answer["error"]) == ["code", "message"]
    if document is vectis.DOCUMENT:
        assert list(answer["meta"]) == ["request_id", "timestamp"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["meta"]["timestamp"])
    return answer["error"]["code"], answer["error"]["message"]


@dataclass
class Door:
    url: str
    key: str
    powerless: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> tuple[int, Any, Any]:
        headers = {**bearer(self.key if key is None else key), **options.pop("headers", {})}
        target = URL(self.url + path, encoded=True)
        async with self.session.request(method, target, headers=headers, **options) as answer:
            return answer.status, answer.headers, await answer.read()

    async def expect(
        self, status: int, code: str, calls: Iterable[tuple[str, str, Document]], **options: Any
    ) -> list[Mapping[str, str]]:
        """Each (method, path, document) is answered so; the headers of the answers."""
        calls = list(calls)
        found = await asyncio.gather(*(self.ask(method, path, **options) for method, path, _ in calls))
        for (method, path, document), (got, headers, body) in zip(calls, found, strict=True):
            assert got == status, (method, path, got, body)
            assert headers["Content-Type"].startswith("application/json")
            answer = json.loads(body)
            given, message = shape(document, answer)
            assert (given, bool(message)) == (code, True), (method, path)
            if document is vectis.DOCUMENT:
                assert answer["meta"]["request_id"] == headers["X-Request-Id"]
        return [headers for _, headers, _ in found]


def calls_of(endpoints: Iterable[Endpoint]) -> list[tuple[str, str, Document]]:
    return [(endpoint.method, path_of(endpoint), endpoint.document) for endpoint in endpoints]


@asynccontextmanager
async def door(dsn: str, **settings: Any) -> AsyncIterator[Door]:
    async with (
        stored_workspaces(dsn) as here,
        gateway(dsn, service_requests=1000, **settings) as url,
        client() as session,
    ):
        workspace = await here.workspace()
        key = await here.key(workspace, "super_admin", tuple(SCOPES))
        yield Door(url, key, await here.key(workspace, "super_admin", ()), session)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = tuple(msgspec.structs.replace(endpoint, timeout=0.5) for endpoint in ENDPOINTS)
    monkeypatch.setattr(routes.Routes.__init__, "__defaults__", (quick,))
    monkeypatch.setattr(upstream, "RESTART_SECONDS", 0.1)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_the_path_alone_names_the_document_of_the_table(endpoint: Endpoint) -> None:
    assert document_of(path_of(endpoint), endpoint.method) is endpoint.document


async def test_without_a_key_without_its_scope_and_nowhere(shared_postgres_dsn: str) -> None:
    async with door(shared_postgres_dsn) as at:
        assert {endpoint.document for endpoint in KEYED} == set(DOCUMENTS)
        for key in ("", "pm_nonsense"):
            answers = await at.expect(401, "UNAUTHORIZED", calls_of(KEYED), key=key)
            assert {headers["WWW-Authenticate"] for headers in answers} == {"Bearer"}
        await at.expect(403, "FORBIDDEN", calls_of(KEYED), key=at.powerless)
        await at.expect(404, "NOT_FOUND", [("GET", path, document) for path, document in UNKNOWN.items()])


async def test_another_method(shared_postgres_dsn: str) -> None:
    async with door(shared_postgres_dsn) as at:
        for method in ("PATCH", "DELETE", "OPTIONS"):
            taking = {path_of(endpoint) for endpoint in ENDPOINTS if endpoint.method == method}
            paths = sorted({path_of(endpoint) for endpoint in ENDPOINTS} - taking)
            calls = [(method, path, document_of(path, method)) for path in paths]
            answers = await at.expect(405, "METHOD_NOT_ALLOWED", calls)
            for (_, path, _), headers in zip(calls, answers, strict=True):
                taken = {endpoint.method for endpoint in ENDPOINTS if path_of(endpoint) == path}
                assert set(headers["Allow"].split(", ")) == taken | ({"HEAD"} if "GET" in taken else set())


async def announce_too_much(at: Door, endpoint: Endpoint) -> bytes:
    head = f"{endpoint.method} {path_of(endpoint)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\n"
    return await speak(at.url, f"{head}Content-Length: {endpoint.max_body + 1}\r\n\r\n".encode())


async def test_bodies_that_are_too_large_or_something_else(shared_postgres_dsn: str) -> None:
    bodies = [endpoint for endpoint in KEYED if endpoint.max_body]
    assert {endpoint.document for endpoint in bodies} >= {workspaces.DOCUMENT, NATIVE}
    async with door(shared_postgres_dsn) as at:
        answers = await asyncio.gather(*(announce_too_much(at, endpoint) for endpoint in bodies))
        for endpoint, raw in zip(bodies, answers, strict=True):
            assert raw.startswith(b"HTTP/1.1 413 ")
            assert shape(endpoint.document, json.loads(raw.partition(b"\r\n\r\n")[2]))[0] == "PAYLOAD_TOO_LARGE"
        for media in ("text/plain", "text/xml; charset=utf-8", "multipart/form-data; boundary=x", "application/jsonx"):
            sent = {"headers": {"Content-Type": media}, "data": b"{}"}
            await at.expect(415, "UNSUPPORTED_MEDIA_TYPE", calls_of(bodies), **sent)
        packed = {"headers": {"Content-Encoding": "br"}, "data": b"{}"}
        await at.expect(415, "UNSUPPORTED_MEDIA_TYPE", calls_of(bodies), **packed)


@pytest.mark.parametrize(
    "media",
    [None, "", "application/json", "application/JSON; charset=utf-8", "application/vnd.x+json",
     "application/octet-stream", "application/x-www-form-urlencoded"],
)  # fmt: skip
async def test_what_clients_say_unasked_passes(shared_postgres_dsn: str, media: str | None) -> None:
    async def accept(request: web.Request) -> web.Response:
        return web.json_response({"length": len(await request.read())})

    async with service(accept) as url, door(shared_postgres_dsn, query_url=url) as at:
        said = "" if media is None else f"Content-Type: {media}\r\n"
        head = f"POST /v1/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {at.key}\r\n{said}"
        assert (await speak(at.url, f"{head}Content-Length: 2\r\n\r\n{{}}".encode())).endswith(b'{"length": 2}')


async def test_over_the_limit(shared_postgres_dsn: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DEADLINE_SECONDS", 10.0)  # a busy machine is not a dead Redis
    limited = [endpoint for endpoint in KEYED if endpoint.limit]
    assert limited == KEYED
    ones = ",".join(f"{kind}=1" for kind in Limit)

    async def accept(_: web.Request) -> web.Response:
        return web.json_response({})

    async with (
        service(accept) as url,
        door(shared_postgres_dsn, redis_url=Secret(redis_url), rate_limits=ones, query_url=url, tracking_url=url) as at,
    ):
        firsts = {endpoint.limit: endpoint for endpoint in limited if endpoint in PASSED_ON}
        for endpoint in firsts.values():
            assert (await at.ask(endpoint.method, path_of(endpoint)))[0] == 200
        answers = await at.expect(429, "RATE_LIMITED", calls_of(limited))
        assert all(int(headers["Retry-After"]) > 0 for headers in answers)
        assert {headers["RateLimit-Remaining"] for headers in answers} == {"0"}


async def test_services_that_are_gone(shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "RESTART_SECONDS", 0.1)  # and a busy machine has all the time of an endpoint
    assert {endpoint.document for endpoint in PASSED_ON} == set(DOCUMENTS)
    async with door(shared_postgres_dsn, query_url=NOWHERE, tracking_url=NOWHERE) as at:
        answers = await at.expect(502, "BAD_GATEWAY", calls_of(PASSED_ON))
        assert {headers["Retry-After"] for headers in answers} == {"1"}


@pytest.mark.usefixtures("impatient")
async def test_services_that_are_slow(shared_postgres_dsn: str) -> None:
    release = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with service(slow) as url, door(shared_postgres_dsn, query_url=url, tracking_url=url) as at:
        await at.expect(504, "GATEWAY_TIMEOUT", calls_of(PASSED_ON))
        release.set()
