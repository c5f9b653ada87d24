"""All ports that we listen on, of real services."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postmeter.aggregator import service as aggregator
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.gateway import service as gateway
from postmeter.gateway.settings import GatewaySettings
from postmeter.query import service as query
from postmeter.shared.auth.principal import HEADER
from postmeter.shared.auth.secret import Secret
from tests import sealing
from tests.integration.running_query import PEPPER, query_settings, sealed, workspaces
from tests.integration.tracking_service import INTERNAL, Service
from tests.product import free_port, reachable

LONG = dict.fromkeys(("header_timeout", "body_timeout", "idle_timeout"), 60.0)
"""Clocks that no case waits for, however busy the machine is."""


@dataclass(frozen=True)
class Port:
    """A port; `get` is a request that it answers with 200, `post` the head of one whose body it reads.

    preface: bytes that are answered before, so that the connection is another protocol's; reads: whether any
    endpoint of it has a body.
    """

    name: str
    number: int
    get_line: tuple[str, ...]
    post_line: tuple[str, ...]
    preface: bytes = b""
    reads: bool = True

    @property
    def get(self) -> bytes:
        """Sealed anew each time, where it is."""
        return request(*self.get_line) + b"\r\n"

    @property
    def post(self) -> bytes:
        """Without the line that ends it."""
        return request(*self.post_line)


def request(method: str, target: str, *headers: str) -> bytes:
    """A head without its end."""
    lines = [sealing.line(header, method, target) for header in headers]
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: t", *lines, ""]).encode("latin-1")


def _ops(name: str, number: int) -> Port:
    return Port(f"{name}'s ops port", number, ("GET", "/healthz"), ("POST", "/metrics"), reads=False)


@asynccontextmanager
async def every_port(
    dsn: str,
    redis: str,
    folder: Path,
    *,
    clocks: dict[str, float] = LONG,
    stop_timeout: float = 1.0,
    stop: asyncio.Event | None = None,
    **public: Any,
) -> AsyncIterator[tuple[list[Port], Service]]:
    """Every port of running services, and tracking-service, which is a process of its own. stop: ends the others."""
    stop = asyncio.Event() if stop is None else stop
    ports = {name: free_port() for name in ("gateway", "query", "gateway ops", "query ops", "aggregator ops")}
    stores: dict[str, Any] = {"postgres_dsn": Secret(dsn), "redis_url": Secret(redis), **clocks}
    answering: dict[str, Any] = {"internal_secret": INTERNAL, "stop_timeout": stop_timeout}
    tracking = await asyncio.to_thread(Service, redis, folder / "spool", stop_timeout=stop_timeout, **clocks, **public)
    tasks = [
        asyncio.create_task(
            aggregator.serve(AggregatorSettings(**stores, ops_port=ports["aggregator ops"]), stop)
        ),
        asyncio.create_task(
            query.serve(
                query_settings(
                    **stores, **answering, port=ports["query"], ops_port=ports["query ops"], export_dir=str(folder)
                ),
                stop,
            )
        ),
        asyncio.create_task(
            gateway.serve(
                GatewaySettings(
                    **stores,
                    **answering,
                    **public,
                    key_pepper=PEPPER,
                    port=ports["gateway"],
                    ops_port=ports["gateway ops"],
                    tracking_url=f"http://127.0.0.1:{tracking.port}",
                    query_url=f"http://127.0.0.1:{ports['query']}",
                ),
                stop,
            )
        ),
    ]  # fmt: skip
    try:
        for task, name in zip(tasks, ("aggregator ops", "query ops", "gateway ops"), strict=True):
            await reachable(ports[name], task)
        async with workspaces(dsn) as here:
            workspace = await here.workspace()
            key = f"Authorization: Bearer {await here.key(workspace, 'admin', ('analytics', 'track'))}"
        principal = f"{HEADER}: {sealed(workspace)[HEADER]}"
        pixel = ("GET", "/api/v1/track/open/x")
        events = ("POST", "/v1/events", tracking.principal())
        yield (
            [
                Port("tracking-service", tracking.port, pixel, events),
                Port(
                    "tracking-service, taken over", tracking.port, pixel, events, request("GET", "/elsewhere") + b"\r\n"
                ),
                Port("gateway", ports["gateway"], pixel, ("POST", "/v1/events", key)),
                Port("gateway, read first", ports["gateway"], pixel, ("POST", "/v1/query", key)),
                Port(
                    "query-service",
                    ports["query"],
                    ("GET", "/v1/campaigns", principal),
                    ("POST", "/v1/query", principal),
                ),
                _ops("tracking-service", tracking.ops_port),
                *(_ops(name, ports[f"{name} ops"]) for name in ("gateway", "query", "aggregator")),
            ],
            tracking,
        )
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        assert tracking.terminate() == 0
