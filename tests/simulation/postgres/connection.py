"""asyncpg's pool and connection, as far as the counting core uses them, towards the simulated Postgres."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tests.simulation.network import Network, Wire
from tests.simulation.postgres import packed
from tests.simulation.postgres.server import STATEMENT_SECONDS, Ask

COMMAND_SECONDS = STATEMENT_SECONDS + 0.5
"""After which a client does not wait for an answer any more."""


class Connection:
    """One session."""

    def __init__(self, pid: int) -> None:
        self.is_closed = False
        self._wire: Wire
        self._pid = pid
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._depth = 0

    @classmethod
    async def made(cls, network: Network, pid: int) -> Connection:
        connection = cls(pid)
        connection._wire = await network.wire("postgres", connection)
        return connection

    def get_server_pid(self) -> int:
        return self._pid

    async def fetch(self, query: str, *given: Any) -> list[Any]:
        return list(await self._ask("run", query, given))

    async def fetchrow(self, query: str, *given: Any) -> Any:
        rows = await self._ask("run", query, given)
        return rows[0] if rows else None

    async def fetchval(self, query: str, *given: Any) -> Any:
        rows = await self._ask("run", query, given)
        return next(iter(rows[0].values())) if rows else None

    async def execute(self, query: str, *given: Any) -> str:
        await self._ask("run", query, given)
        return ""

    async def copy_records_to_table(self, table: str, *, records: Sequence[Any], columns: Sequence[str]) -> str:
        await self._ask("copy", table, (list(records), tuple(columns)))
        return ""

    async def copy_to_table(self, table: str, *, source: AsyncIterator[bytes], columns: Sequence[str], **_: str) -> str:
        told = b"".join([part async for part in source])
        await self._ask("copy", table, (packed.rows(told, columns), tuple(columns)))
        return ""

    def transaction(self) -> Block:
        return Block(self)

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        """End it at once."""
        self._wire.close()
        self.lost()

    async def _ask(self, kind: str, text: str = "", given: tuple[Any, ...] = ()) -> Any:
        if self.is_closed:
            raise asyncpg.InterfaceError("connection is closed")
        number, loop = next(self._numbers), asyncio.get_running_loop()
        future = self._waiting[number] = loop.create_future()
        self._wire.send(Ask(number, kind, text, given))
        timer = loop.call_later(COMMAND_SECONDS, _expire, future)
        try:
            answer = await future
        except (TimeoutError, asyncio.CancelledError):
            self.abort()
            raise
        finally:
            timer.cancel()
            self._waiting.pop(number, None)
        if isinstance(answer, asyncpg.PostgresError):
            raise type(answer)(*answer.args)
        return answer

    # -- told by the wire

    def arrived(self, data: tuple[int, Any]) -> None:
        number, answer = data
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(answer)

    def lost(self) -> None:
        self.is_closed = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(
                    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
                )


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


class Block:
    """A transaction; within another one a savepoint."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_outer = True

    async def start(self) -> None:
        self._is_outer = self._connection._depth == 0
        await self._connection._ask("begin" if self._is_outer else "savepoint")
        self._connection._depth += 1

    async def commit(self) -> None:
        self._connection._depth -= 1
        await self._connection._ask("commit" if self._is_outer else "release")

    async def rollback(self) -> None:
        self._connection._depth -= 1
        await self._connection._ask("rollback" if self._is_outer else "rollback_to")

    async def __aenter__(self) -> Block:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            await self.commit()
        else:
            await self.rollback()


class Pool:
    """Up to `size` connections of one process, made when they are needed."""

    def __init__(self, network: Network, size: int) -> None:
        self._network = network
        self._room = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._pids = itertools.count(1)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        async with self._room:
            connection = await self._ready()
            try:
                yield connection
            finally:
                if not connection.is_closed:
                    if connection._depth:
                        connection.abort()
                    else:
                        self._idle.append(connection)

    async def fetch(self, query: str, *given: Any) -> list[Any]:
        async with self.acquire() as connection:
            return await connection.fetch(query, *given)

    async def fetchrow(self, query: str, *given: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *given)

    async def fetchval(self, query: str, *given: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchval(query, *given)

    async def execute(self, query: str, *given: Any) -> str:
        async with self.acquire() as connection:
            return await connection.execute(query, *given)

    async def close(self) -> None:
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def _ready(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed:
                return connection
        return await Connection.made(self._network, next(self._pids))
