"""What the tests of POST /v1/query share: a workspace, asked over real HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import aiohttp

from tests import sealing
from tests.integration.running_query import World, ensure_months, query_service, sealed, world

NOW = datetime(2025, 5, 20, 10, 20, 30, tzinfo=UTC)
Answer = tuple[int, Any]


@dataclass
class Api:
    here: World
    url: str
    workspace: int
    session: aiohttp.ClientSession

    async def raw(self, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        headers = sealed(self.workspace) if headers is None else headers
        async with self.session.post(f"{self.url}/v1/query", data=body, headers=headers) as answer:
            assert answer.content_type == "application/json"
            return answer.status, json.loads(await answer.read())

    async def ask(self, headers: dict[str, str] | None = None, /, **body: Any) -> Answer:
        return await self.raw(json.dumps({"metrics": ["sent"], **body}).encode(), headers)


@asynccontextmanager
async def asking(dsn: str, redis_url: str) -> AsyncIterator[Api]:
    """A workspace, and a query-service for which it is NOW."""
    await ensure_months(dsn, date(2025, 3, 1), date(2025, 5, 1))
    async with (
        world(dsn) as here,
        query_service(here, redis_url, NOW) as url,
        sealing.session() as session,
    ):
        yield Api(here, url, await here.workspace(), session)
