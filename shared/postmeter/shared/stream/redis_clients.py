"""Clients of Redis for a URL of either kind: of a server, or of the Sentinels that know where the master is.

By Sentinels (redis-py's) each new connection asks them for the master, the one first that answered last; one that finds
its peer to be a replica (READONLY) is closed. A server that Sentinel makes a replica closes all its connections itself,
so that nobody goes on reading from it.
"""

from __future__ import annotations

from typing import Any

import redis
import redis.sentinel
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.retry import Retry as BlockingRetry

from postmeter.shared.auth.secret import Secret
from postmeter.shared.process.redis_url import SentinelUrl, check, is_sentinel

CONNECT_SECONDS = 5.0
"""The default."""


class _Master(SentinelManagedConnection):
    """Sentinels are asked also where a command is tried again: redis-py would connect to the old address."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self.is_connected:
            await self.connect()  # type: ignore[no-untyped-call]
        await super().send_packed_command(command, check_health)


class _TlsMaster(_Master, SentinelManagedSSLConnection):
    """The same by TLS."""


class _Masters(SentinelConnectionPool):
    """Connections to the master; closed, it has none to Sentinels either."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


class _BoundedMasters(_Masters, BlockingConnectionPool):
    """The same; whoever finds them all in use waits."""


class _BlockingMasters(redis.sentinel.SentinelConnectionPool):
    """The same for code that is not asyncio's."""

    def close(self) -> None:
        super().close()
        for sentinel in self.sentinel_manager.sentinels:
            sentinel.close()


def pool(url: Secret, *, bounded: bool = False, **options: Any) -> ConnectionPool:
    """Connections that `options` (redis-py's) make. bounded: whoever finds max_connections in use waits for `timeout`.

    Raises ValueError for a URL that is not one of these.
    """
    if not is_sentinel(url):
        _refuse(url)
        kind = BlockingConnectionPool if bounded else ConnectionPool
        return kind.from_url(url.reveal(), **options)
    at = SentinelUrl.parse(url)
    asked = _asking(at, options) | {"retry": Retry(NoBackoff(), 0)}
    sentinel = Sentinel(at.sentinels, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    masters = _BoundedMasters if bounded else _Masters
    made = {"connection_class": _TlsMaster if at.is_tls else _Master}
    return masters(at.service, sentinel, **(options | at.master | made))  # type: ignore[no-untyped-call]


def client(url: Secret, *, bounded: bool = False, **options: Any) -> Redis:
    """A client of the server, or of the master. As for `pool`."""
    return Redis.from_pool(pool(url, bounded=bounded, **options))


def blocking(url: Secret, **options: Any) -> redis.Redis:
    """The same for code that is not asyncio's."""
    if not is_sentinel(url):
        _refuse(url)
        return redis.Redis.from_url(url.reveal(), **options)
    at = SentinelUrl.parse(url)
    asked = _asking(at, options) | {"retry": BlockingRetry(NoBackoff(), 0)}
    sentinel = redis.sentinel.Sentinel(at.sentinels, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    masters = _BlockingMasters(at.service, sentinel, ssl=at.is_tls, **(options | at.master))  # type: ignore[no-untyped-call]
    return redis.Redis.from_pool(masters)


def _asking(at: SentinelUrl, options: dict[str, Any]) -> dict[str, Any]:
    """For connections to Sentinels: there is time for each of them and for the master, though the first is silent."""
    seconds = options.get("socket_connect_timeout") or options.get("socket_timeout") or CONNECT_SECONDS
    share = seconds / (len(at.sentinels) + 1)
    # As plain as can be: redis-py would try again by itself, for seconds.
    return {"socket_timeout": share, "socket_connect_timeout": share, "protocol": 2, "ssl": at.is_tls, **at.sentinel}


def _refuse(url: Secret) -> None:
    """Name what redis-py would take for something else. Raises ValueError."""
    if not check(url):
        raise ValueError("it takes redis://, rediss:// or unix:// with the server's address, or redis+sentinel://")
