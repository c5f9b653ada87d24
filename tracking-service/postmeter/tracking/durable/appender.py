"""One connection to Redis that appends batches to streams, one group of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, ResponseError

from postmeter.shared.auth.secret import Secret
from postmeter.shared.stream import redis_clients
from postmeter.shared.stream.records import BATCH, RECORDS
from postmeter.shared.stream.streams import SLOTS, stream
from postmeter.tracking.durable.segment import Spooled

_PING = b"*1\r\n$4\r\nPING\r\n"
_WAIT_SHARE = 0.8
"""Part of the deadline for WAIT: its answer must come before the deadline, so that the connection is kept."""


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


@lru_cache(SLOTS)
def _head(shard: int) -> bytes:
    return b"*7\r\n$4\r\nXADD\r\n" + _bulk(stream(shard).encode()) + b"$1\r\n*\r\n"


def _wait(replicas: int, deadline: float) -> bytes:
    milliseconds = max(1, int(deadline * _WAIT_SHARE * 1000))  # 0 would be for ever
    return b"*3\r\n$4\r\nWAIT\r\n" + _bulk(b"%d" % replicas) + _bulk(b"%d" % milliseconds)


class TooFewReplicas(ResponseError):
    """Redis has the batches, but fewer replicas have them than should. The message says how many."""


class Appender(asyncio.Protocol):
    """Appends batches over one connection. replicas: how many must have them, too.

    redis-py connects it, which brings URLs, Sentinels, authentication and TLS. From then on this object is the
    transport's protocol: redis-py's streams, locks and time-outs cost more per batch than everything else
    that is done for it.
    """

    def __init__(self, url: Secret, deadline: float, replicas: int = 0) -> None:
        # It must fail at once: the spool is there, and the drainer tries again.
        never = Retry(NoBackoff(), 0)
        self._pool = redis_clients.pool(url, socket_connect_timeout=deadline, protocol=2, retry=never)
        self._connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        self._deadline = deadline
        self._replicas = replicas
        self._wait = _wait(replicas, deadline)
        self._acknowledged = 0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._replies = hiredis.Reader()
        self._waiter: asyncio.Future[None] | None = None
        self._awaited = 0
        self._refused: hiredis.ReplyError | None = None

    async def append(self, batches: Sequence[Spooled]) -> None:
        """Return once Redis has acknowledged all of them. Raises one of FAILURES soon after the deadline.

        A failure does not mean that Redis has not got them: try them again under the same ids only.
        """
        parts: list[bytes] = []
        for batch in batches:
            head = _head(batch.shard) + _bulk(BATCH) + _bulk(batch.batch_id) + _bulk(RECORDS)
            parts += head, b"$%d\r\n" % len(batch.packed), batch.packed, b"\r\n"
        if self._replicas:
            parts.append(self._wait)
            await self._ask(b"".join(parts), len(batches) + 1)
            self._count_replicas()
        else:
            await self._ask(b"".join(parts), len(batches))

    async def ping(self) -> None:
        """Return once Redis has answered, and enough replicas have what this connection wrote last.

        So what failed for lack of replicas is not appended again until they are back. Raises one of FAILURES.
        """
        if self._replicas:
            await self._ask(self._wait, 1)
            self._count_replicas()
        else:
            await self._ask(_PING, 1)

    async def close(self) -> None:
        """Drop the connection; the next append makes a new one."""
        self._transport = None
        await self._connection.disconnect(nowait=True)
        await self._pool.aclose()

    def _count_replicas(self) -> None:
        if self._acknowledged < self._replicas:
            raise TooFewReplicas(
                f"{self._acknowledged} replicas of Redis acknowledge; POSTMETER_WAIT_REPLICAS is {self._replicas}"
            )

    async def _ask(self, commands: bytes, replies: int) -> None:
        if self._transport is not None:
            try:
                await self._exchange(self._transport, commands, replies)
                return
            except (ConnectionResetError, ReadOnlyError):
                # A connection that idled through a restart of Redis is found broken only now, and one whose peer
                # another master has been chosen for.
                await self.close()
        async with asyncio.timeout(self._deadline):
            transport = await self._connect()
        await self._exchange(transport, commands, replies)

    async def _connect(self) -> asyncio.Transport:
        await self.close()
        await self._connection.connect()  # type: ignore[no-untyped-call]
        writer = self._connection._writer
        assert writer is not None
        transport = cast("asyncio.Transport", writer.transport)
        transport.set_protocol(self)
        self._replies = hiredis.Reader()
        self._transport = transport
        return transport

    async def _exchange(self, transport: asyncio.Transport, commands: bytes, replies: int) -> None:
        waiter = self._waiter = self._loop.create_future()
        self._awaited, self._refused = replies, None
        timer = self._loop.call_later(self._deadline, self._expire, waiter)
        try:
            transport.write(commands)
            await waiter
        except BaseException:
            # The reply may still come; it must not be taken for the next command's.
            transport.abort()
            self._transport = None
            raise
        finally:
            timer.cancel()
            self._waiter = None
        if self._refused is not None:
            if str(self._refused).startswith("READONLY"):
                transport.abort()
                self._transport = None
                raise ReadOnlyError(str(self._refused))
            raise ResponseError(str(self._refused))

    def _expire(self, waiter: asyncio.Future[object]) -> None:
        if not waiter.done():
            waiter.set_exception(TimeoutError(f"Redis did not answer within {self._deadline} s"))

    def data_received(self, data: bytes) -> None:
        """Take Redis' replies, one for each command."""
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not False:
            self._awaited -= 1
            if isinstance(reply, hiredis.ReplyError):
                self._refused = self._refused or reply  # the first: WAIT says another word to a replica than XADD
            elif isinstance(reply, int):  # WAIT's
                self._acknowledged = reply
        if self._awaited <= 0 and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Redis has closed the connection."""
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("Redis closed the connection"))
