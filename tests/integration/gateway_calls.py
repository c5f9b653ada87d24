"""A gateway with short time-outs before a service that a test plays, called with a key."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from tests.integration.running_gateway import Handler, bearer, client, gateway, service
from tests.integration.running_query import workspaces

SCOPES = ("analytics", "track", "privacy")


@dataclass
class Door:
    url: str
    key: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any, Any]:
        headers = bearer(self.key) | options.pop("headers", {})
        target = URL(self.url + path, encoded=True)
        async with self.session.request(method, target, headers=headers, **options) as answer:
            return answer.status, answer.headers, await answer.read()

    async def error(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        status, _, body = await self.ask(method, path, **options)
        answer = json.loads(body)
        return status, answer["error_type"] if "error_type" in answer else answer["error"]["code"]


@asynccontextmanager
async def door(dsn: str, **settings: Any) -> AsyncIterator[Door]:
    async with workspaces(dsn) as here, gateway(dsn, **settings) as url, client() as session:
        yield Door(url, await here.key(await here.workspace(), "admin", SCOPES), session)


@asynccontextmanager
async def before(dsn: str, handler: Handler, **settings: Any) -> AsyncIterator[Door]:
    """A door before a service that answers everything with `handler`."""
    async with service(handler) as url, door(dsn, query_url=url, tracking_url=url, **settings) as opened:
        yield opened
