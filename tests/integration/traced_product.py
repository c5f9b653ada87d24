"""A gateway and a query-service of which each request is traced."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from postmeter.query import service as query
from postmeter.shared.auth.secret import Secret
from tests.integration.running_gateway import bearer, client, gateway
from tests.integration.running_query import query_settings, workspaces
from tests.product import free_port, reachable
from tests.roles import of_service


@dataclass
class Traced:
    """Gateway and query-service, of which each request is traced, and who asks them."""

    url: str
    query_url: str
    ops_ports: dict[str, int]
    key: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Status and request id."""
        headers = bearer(self.key) | options.pop("headers", {})
        async with self.session.request(
            method, URL(self.url + path, encoded=True), headers=headers, **options
        ) as answer:
            await answer.read()
            return answer.status, answer.headers["X-Request-Id"]

    async def metrics(self, name: str) -> str:
        """Of a service, as OpenMetrics."""
        url = f"http://127.0.0.1:{self.ops_ports[name]}/metrics"
        async with self.session.get(url, headers={"Accept": "application/openmetrics-text"}) as answer:
            return await answer.text()


@asynccontextmanager
async def traced(
    dsn: str, redis: str, folder: Path, *, then: Callable[[], None] = lambda: None, **settings: Any
) -> AsyncIterator[Traced]:
    """`then` is called between the starts of query-service and of the gateway, which has the `settings`."""
    ports = {name: free_port() for name in ("query", "gateway")}
    port, stop = free_port(), asyncio.Event()
    own = query_settings(
        postgres_dsn=Secret(of_service(dsn, "query")),
        redis_url=Secret(redis),
        port=port,
        ops_port=ports["query"],
        export_dir=str(folder / "exports"),
        stop_timeout=1.0,
        traces=True,
    )
    task = asyncio.create_task(query.serve(own, stop))
    query_url = f"http://127.0.0.1:{port}"
    try:
        await reachable(ports["query"], task)
        then()
        async with (
            gateway(dsn, query_url=query_url, ops_port=ports["gateway"], traces=True, **settings) as url,
            workspaces(dsn) as here,
            client() as session,
        ):
            key = await here.key(await here.workspace("the-shop"), "admin", ("analytics", "track"))
            yield Traced(url, query_url, ports, key, session)
    finally:
        stop.set()
        await task
