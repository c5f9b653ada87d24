"""Connections to Postgres: pooled, with a time-out on every statement; and whether a commit has gone out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg

from postmeter.shared.process.settings import PostgresSettings
from postmeter.shared.storage import known_types

# asyncpg's classes are generic in its type stubs only.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
ConnectionClass: TypeAlias = "type[asyncpg.Connection[asyncpg.Record]]"
CONNECT_SECONDS = 5.0
"""What a new connection may take. A server that hangs takes connections and says nothing, for the driver's minute."""
AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What is asked of Postgres fails with one of these while it is away, or none of several is the primary; for whoever
has an answer without it."""


async def connect(
    settings: PostgresSettings,
    service: str,
    statement_timeout: float,
    init: Callable[[asyncpg.Connection[asyncpg.Record]], Coroutine[Any, Any, None]] | None = None,
    options: dict[str, str] | None = None,
    connection_class: ConnectionClass | None = None,
    is_stateless: bool = False,
) -> Pool:
    """A pool whose every statement ends after `statement_timeout` seconds; times are UTC.

    init: called once for each new connection. options: further settings of each session. connection_class: see Traces.
    is_stateless: no statement leaves anything in a session, which then needs no other one to reset it.
    It connects when first used, so that a service starts while Postgres is down and /readyz says so.
    """
    return await asyncpg.create_pool(
        settings.postgres_dsn.reveal(),
        min_size=0,
        max_size=settings.postgres_pool,
        connect=_connected,
        init=init,
        connection_class=connection_class or known_types.Connection,
        timeout=CONNECT_SECONDS,
        reset=_leave if is_stateless else None,
        command_timeout=statement_timeout + 2,
        server_settings={
            "application_name": f"postmeter-{service}",
            "statement_timeout": str(int(statement_timeout * 1000)),
            "idle_in_transaction_session_timeout": str(int(statement_timeout * 2000)),
            "timezone": "UTC",
            # Whoever has waited for a lock must see what was committed meanwhile, whatever is the server's default.
            "default_transaction_isolation": "read committed",
            **(options or {}),
        },
    )


async def _connected(*given: Any, **options: Any) -> asyncpg.Connection[asyncpg.Record]:
    """A connection; where nobody listens, a name is unknown, or a socket or a certificate is missing, an error that
    says where: the system's names none of them.
    """
    try:
        return await asyncpg.connect(*given, **options)
    except FileNotFoundError:
        raise ConnectionRefusedError(
            "nobody listens on the socket of Postgres, or a file that its DSN names is missing"
        ) from None
    except (ConnectionRefusedError, socket.gaierror) as error:
        if (hosts := urlsplit(given[0]).netloc.rpartition("@")[2]) and error.errno and error.strerror:
            raise type(error)(error.errno, f"{error.strerror}: Postgres at {hosts}") from None
        raise


async def _leave(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """asyncpg itself ends a transaction that was left open."""


async def close(pool: Pool) -> None:
    """Close the pool; at once where Postgres does not answer."""
    try:
        async with asyncio.timeout(2):
            await pool.close()
    except AWAY:
        pool.terminate()


class Commits:
    """Of what is done under `watched_commits`. sent: one has gone out: from then until it is answered, nobody knows
    whether something was changed.
    """

    sent = False


_watching: ContextVar[Commits | None] = ContextVar("watching", default=None)


@contextmanager
def watched_commits() -> Iterator[Commits]:
    """What is told of the transactions inside, and in tasks that are made inside."""
    commits = Commits()
    token = _watching.set(commits)
    try:
        yield commits
    finally:
        _watching.reset(token)


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """A transaction, or a part of one, that is noted before it is committed."""
    is_whole = not connection.is_in_transaction()
    async with connection.transaction():
        yield
        commits = _watching.get()
        if is_whole and commits is not None:
            commits.sent = True
