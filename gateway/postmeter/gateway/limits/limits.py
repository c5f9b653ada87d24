"""Limits per workspace and class of endpoints (semantics.md, "Who may read"; ADR 0015)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from postmeter.gateway.limits.outage import Outage
from postmeter.gateway.metrics import GatewayMetrics
from postmeter.shared.apis.endpoint import Limit
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.shared.stream import redis_clients, streams
from postmeter.shared.stream.redis_clients import FAILURES

DEADLINE_SECONDS = 0.5
"""How long a request waits for Redis before it passes unchecked. A busy machine can stand still for a tenth."""
CONNECTIONS = 32
WINDOW_SECONDS = 60
_SCRIPT = resources.files("postmeter.gateway.limits").joinpath("limit.lua").read_text()


@dataclass(frozen=True, slots=True)
class LimitState:
    """How a workspace stands in one class after a request. Times are whole seconds, rounded up.

    name: of the class. reset: until all of `limit` is free again. wait: until one more request is let through; 0: this
    one is.
    """

    name: str
    limit: int
    remaining: int
    reset: int
    wait: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """What every answer that was counted carries: draft-ietf-httpapi-ratelimit-headers-10, and the names before."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.reset}',
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


def client(url: Secret, seconds: float | None = None) -> Redis:
    """A Redis client that tries rarely and briefly (DEADLINE_SECONDS by default), with bounded connections."""
    seconds = seconds or DEADLINE_SECONDS
    return redis_clients.client(
        url,
        bounded=True,
        max_connections=CONNECTIONS,
        timeout=seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 1),  # a connection that Redis closed while it was idle
    )


class Limits:
    """Counts requests in Redis, so that all gateways count together.

    `rates`: requests per minute of each class; a class without one is not limited. `now`: seconds of a clock
    that never goes back.
    """

    def __init__(
        self,
        redis: Redis,
        rates: Mapping[Limit, int],
        metrics: GatewayMetrics,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._script = redis.register_script(_SCRIPT)
        self._rates = rates
        self._metrics = metrics
        self._outage = Outage(now)

    async def count(self, workspace: int, limit: Limit | None) -> dict[str, str]:
        """Count one request; the headers that its answer carries, none where nothing limits it.

        Raises RequestError 429 over the limit. Where Redis does not answer in time the request passes: nobody is
        refused for our fault. That is counted.
        """
        rate = self._rates.get(limit) if limit is not None else None
        if limit is None or rate is None:
            return {}
        standing = await self._ask(workspace, limit, rate)
        if standing is None:
            self._metrics.unlimited.labels(limit.value).inc()
            return {}
        if standing.wait:
            self._metrics.limited.labels(limit.value).inc()
            message = f"The limit is {rate} requests per minute; try again in {standing.wait} s."
            headers = standing.headers | {"Retry-After": str(standing.wait)}
            raise RequestError(429, "RATE_LIMITED", message, None, headers)
        return standing.headers

    async def _ask(self, workspace: int, limit: Limit, rate: int) -> LimitState | None:
        if not self._outage.lets_ask():
            return None
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                counted = [streams.limit(workspace, limit)], [rate, WINDOW_SECONDS]
                passed, remaining, reset, wait = await self._script(*counted)
        except FAILURES as error:
            self._outage.failed(error)
            return None
        self._outage.answered()
        return LimitState(limit.value, rate, remaining, reset, 0 if passed else max(wait, 1))
