"""What the tests of POST /v1/query share: a workspace that asks it, and the moment that it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any

from tests.integration import query_api
from tests.integration.query_api import Answer

NOW = datetime(2025, 5, 20, 10, 20, 30, tzinfo=UTC)


class Api(query_api.Api):
    """A workspace and its questions."""

    async def raw(self, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        return await self.post("/v1/query", body, headers)

    async def ask(self, headers: dict[str, str] | None = None, /, **body: Any) -> Answer:
        return await self.post("/v1/query", {"metrics": ["sent"], **body}, headers)


@asynccontextmanager
async def asking(dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with query_api.asking(dsn, redis_url, NOW, date(2025, 3, 1), Api) as made:
        yield made
