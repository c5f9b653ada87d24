"""A workspace that asks a real query-service, for which it is always the same moment."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Self, TypeVar

import aiohttp
from yarl import URL

from tests import sealing
from tests.integration.running_query import Workspaces, ensure_months, query_service, sealed, workspaces

Answer = tuple[int, Any]
"""Status and body."""


@dataclass
class Api:
    """rights: of the workspace's key, where they are not those that `sealed` gives."""

    here: Workspaces
    url: str
    workspace: int
    session: aiohttp.ClientSession
    rights: dict[str, Any] = field(default_factory=dict)

    def confined(self, *domains: str) -> Self:
        """The same for a domain_admin's key."""
        return replace(self, rights=self.rights | {"role": "domain_admin", "domains": list(domains)})

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return sealed(self.workspace, **self.rights)

    async def get(self, path: str, headers: dict[str, str] | None = None, /, **parameters: str) -> Answer:
        return await self._answer("GET", path, headers, params=parameters)

    async def raw_get(self, path_and_query: str) -> Answer:
        """As it stands: nothing is encoded."""
        return await self._answer("GET", path_and_query, None, encoded=True)

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        """body: bytes as they are, or what becomes JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self._answer("POST", path, headers, data=content)

    async def ok(self, path: str, headers: dict[str, str] | None = None) -> Any:
        """The body of a good answer."""
        status, answer = await self.get(path, headers)
        assert status == 200, answer
        return answer

    async def text(self, path: str) -> str:
        """A good answer as it is written: order of fields, spelling of numbers."""
        async with self.session.get(self.url + path, headers=self.headers) as answer:
            assert answer.status == 200
            return await answer.text()

    async def _answer(
        self, method: str, path: str, headers: dict[str, str] | None, *, encoded: bool = False, **more: Any
    ) -> Answer:
        url = URL(self.url + path, encoded=encoded)
        given = self.headers if headers is None else headers
        async with self.session.request(method, url, headers=given, **more) as answer:
            assert answer.content_type == "application/json"
            return answer.status, json.loads(await answer.read())


A = TypeVar("A", bound=Api)


@asynccontextmanager
async def asking(
    dsn: str, redis_url: str, now: datetime, first: date, kind: type[A], name: str | None = None, **rights: Any
) -> AsyncIterator[A]:
    """A new workspace's Api of a kind, for which it is always `now`; the tables reach back to the month of `first`."""
    await ensure_months(dsn, first.replace(day=1), now.date())
    async with (
        workspaces(dsn) as here,
        query_service(here, redis_url, now) as url,
        sealing.session() as session,
    ):
        yield kind(here, url, await here.workspace(name), session, rights)
