"""HEAD: the head of GET's answer and nothing after it, so that the connection goes on."""

import asyncio
import json
from collections.abc import Mapping

import pytest
from aiohttp import web

from postmeter.gateway.proxy.answer import WHOLE
from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.mail import webhooks
from postmeter.shared.apis.table import ENDPOINTS
from tests.integration.running_gateway import SCOPES, bearer, gateway, line, path_of, service
from tests.integration.running_query import workspaces

READS = [endpoint for endpoint in ENDPOINTS if endpoint.method == "GET"]
SMALL, LARGE = b"{}", bytes(range(256)) * (WHOLE // 256 + 1)
HITS = (OPEN_PATH, CLICK_PATH)
VARYING = ("date", "x-request-id", "ratelimit", "ratelimit-remaining", "ratelimit-reset", "transfer-encoding")


async def of_three_kinds(request: web.Request) -> web.StreamResponse:
    """A small answer, a large one, or one whose length nobody knows before its end."""
    kind = "small" if request.path.startswith(HITS) else request.query.get("kind")
    if kind != "streamed":
        return web.Response(body=LARGE if kind == "large" else SMALL, content_type="application/json")
    response = web.StreamResponse()
    await response.prepare(request)
    for start in range(0, len(LARGE), 1 << 18):
        await response.write(LARGE[start : start + (1 << 18)])
    return response


def spelt(endpoint: Endpoint) -> str:
    return path_of(endpoint).replace("/docs/x", "/docs/style.css")


@pytest.mark.parametrize("kind", ["small", "large", "streamed"])
async def test_head_of_every_endpoint_is_get_s_without_the_body(shared_postgres_dsn: str, kind: str) -> None:
    async with (
        workspaces(shared_postgres_dsn) as here,
        service(of_three_kinds) as url,
        gateway(shared_postgres_dsn, query_url=url, tracking_url=url) as at,
        line(at) as connection,
    ):
        key = bearer(await here.key(await here.workspace(), "super_admin", tuple(SCOPES)))
        for endpoint in READS:
            path = f"{spelt(endpoint)}?kind={kind}"
            status, head, _ = await connection.ask("HEAD", path, key)
            got, headers, body = await connection.ask("GET", path, key)
            assert (status, constant(head)) == (got, constant(headers)), path
            assert "Transfer-Encoding" not in head
            if endpoint.service is Service.GATEWAY or endpoint.path.startswith(HITS) or endpoint.path == webhooks.PATH:
                assert int(head.get("Content-Length", 0)) == len(body)
            else:
                assert (status, body) == (200, SMALL if kind == "small" else LARGE), path
                assert ("Content-Length" in head) == (kind != "streamed")


def constant(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that are the same in every answer; where there is no body, HEAD need not say so."""
    found = {name.lower(): value for name, value in headers.items() if name.lower() not in VARYING}
    return {name: value for name, value in found.items() if (name, value) != ("content-length", "0")}


async def test_head_s_errors_have_no_body_either(shared_postgres_dsn: str) -> None:
    """Also where nobody answers behind the gateway, which is waited for: hence side by side."""
    async with workspaces(shared_postgres_dsn) as here, gateway(shared_postgres_dsn) as at:
        key = bearer(await here.key(await here.workspace(), "member", ()))

        async def refused(path: str, headers: dict[str, str]) -> int:
            async with line(at) as connection:
                status, head, _ = await connection.ask("HEAD", path, headers)
                got, _, body = await connection.ask("GET", path, headers)
            assert (status, int(head.get("Content-Length", 0))) == (got, len(body)), path
            if status not in (401, 403, 404) or not head.get("Content-Type", "").startswith("application/json"):
                return 0
            assert "error" in json.loads(body)
            return status

        paths = [spelt(endpoint) for endpoint in READS]
        cases = [(path, headers) for path in paths for headers in ({}, key)]
        cases += [(f"{path}/nothing/x", {}) for path in paths]
        statuses = await asyncio.gather(*(refused(*case) for case in cases))
    assert set(statuses) == {0, 401, 403, 404}


async def test_the_service_need_not_give_the_body(shared_postgres_dsn: str) -> None:
    """A HEAD of a file of any size is answered at once."""
    never = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1 << 40
        await response.prepare(request)
        await response.write(LARGE)
        await never.wait()
        return response

    async with (
        workspaces(shared_postgres_dsn) as here,
        service(endless) as url,
        gateway(shared_postgres_dsn, query_url=url) as at,
        line(at) as connection,
    ):
        key = bearer(await here.key(await here.workspace()))
        for _ in range(3):
            status, head, _ = await connection.ask("HEAD", "/v1/metrics", key)
            assert (status, head["Content-Length"]) == (200, str(1 << 40))
        never.set()
