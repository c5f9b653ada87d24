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
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry as BlockingRetry

from postmeter.shared.auth.secret import Secret
from postmeter.shared.process.redis_url import SentinelUrl, check, is_sentinel

FAILURES = (RedisError, OSError, TimeoutError, RuntimeError)
"""What a call fails with while Redis is away, for code that can do without it.

uvloop raises RuntimeError for a connection that the other side has closed: redis-py writes on it before it has heard of
that, and passes the error on.
"""
CONNECT_SECONDS = 5.0
"""The default."""


class _Sentinels(Sentinel):
    """They say why none names a master: redis-py's error shows its own settings, and not what went wrong."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Where it is; who knows it is asked first from now on. Raises MasterNotFoundError."""
        told = []
        for one in self.sentinels:
            try:
                masters: Any = await one.sentinel_masters()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                told.append(f"{_place(one)}: {error}")
                continue
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):
                self.sentinels = _first(one, self.sentinels)
                return state["ip"], state["port"]
            told.append(f"{_place(one)}: it knows none that is up")
        raise _no_master(service_name, told)


class _BlockingSentinels(redis.sentinel.Sentinel):
    """The same for code that is not asyncio's."""

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """As that of _Sentinels."""
        told = []
        for one in self.sentinels:
            try:
                masters: Any = one.sentinel_masters()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                told.append(f"{_place(one)}: {error}")
                continue
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):  # type: ignore[no-untyped-call]
                self.sentinels = _first(one, self.sentinels)
                return state["ip"], state["port"]
            told.append(f"{_place(one)}: it knows none that is up")
        raise _no_master(service_name, told)


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
    sentinel = _Sentinels(at.sentinels, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
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
    sentinel = _BlockingSentinels(at.sentinels, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    masters = _BlockingMasters(at.service, sentinel, ssl=at.is_tls, **(options | at.master))  # type: ignore[no-untyped-call]
    return redis.Redis.from_pool(masters)


def _asking(at: SentinelUrl, options: dict[str, Any]) -> dict[str, Any]:
    """For connections to Sentinels: there is time for each of them and for the master, though the first is silent."""
    seconds = options.get("socket_connect_timeout") or options.get("socket_timeout") or CONNECT_SECONDS
    share = seconds / (len(at.sentinels) + 1)
    # As plain as can be: redis-py would try again by itself, for seconds.
    return {"socket_timeout": share, "socket_connect_timeout": share, "protocol": 2, "ssl": at.is_tls, **at.sentinel}


def _first(one: Any, sentinels: list[Any]) -> list[Any]:
    """A new list: two who look at the same time, and swap places in one, put one in twice and lose another for good."""
    return [one, *(other for other in sentinels if other is not one)]


def _place(sentinel: Redis | redis.Redis) -> str:
    options = sentinel.connection_pool.connection_kwargs
    return f"{options['host']}:{options['port']}"


def _no_master(service: str, told: list[str]) -> MasterNotFoundError:
    return MasterNotFoundError(f"no Sentinel names a master of {service!r}: {'; '.join(told)}")


def _refuse(url: Secret) -> None:
    """Name what redis-py would take for something else. Raises ValueError."""
    if not check(url):
        raise ValueError("it takes redis://, rediss:// or unix:// with the server's address, or redis+sentinel://")
