"""One connection to Redis that appends batches to streams, one at a time."""

from __future__ import annotations

import asyncio
from typing import cast

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from postmeter.shared.records import BATCH, RECORDS
from postmeter.shared.secret import Secret
from postmeter.shared.streams import stream

_PING = b"*1\r\n$4\r\nPING\r\n"


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


class Lane(asyncio.Protocol):
    """Appends batches over one connection.

    redis-py connects it, which brings URLs, authentication and TLS. From then on this object is the
    transport's protocol: redis-py's streams, locks and time-outs cost more per batch than everything else
    that is done for it.
    """

    def __init__(self, url: Secret, shards: int, deadline: float) -> None:
        # It must fail at once: the spool is there, and the drainer tries again.
        never = Retry(NoBackoff(), 0)
        pool = ConnectionPool.from_url(url.reveal(), socket_connect_timeout=deadline, protocol=2, retry=never)
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._replies = hiredis.Reader()
        self._waiter: asyncio.Future[object] | None = None
        self._heads = [
            b"*7\r\n$4\r\nXADD\r\n" + _bulk(stream(shard).encode()) + b"$1\r\n*\r\n" for shard in range(shards)
        ]

    async def append(self, shard: int, batch_id: bytes, packed: bytes) -> None:
        """Return once Redis has acknowledged the batch. Raises one of FAILURES soon after the deadline.

        A failure does not mean that Redis has not got the batch: try it again under the same id only.
        """
        head = self._heads[shard] + _bulk(BATCH) + _bulk(batch_id) + _bulk(RECORDS) + b"$%d\r\n" % len(packed)
        await self._ask(head + packed + b"\r\n")

    async def ping(self) -> None:
        """Return once Redis has answered. Raises one of FAILURES."""
        await self._ask(_PING)

    async def close(self) -> None:
        """Drop the connection; the next append makes a new one."""
        self._transport = None
        await self._connection.disconnect(nowait=True)

    async def _ask(self, command: bytes) -> None:
        if self._transport is not None:
            try:
                await self._exchange(self._transport, command)
                return
            except ConnectionResetError:
                # A connection that idled through a restart of Redis is found broken only now.
                await self.close()
        async with asyncio.timeout(self._deadline):
            transport = await self._connect()
        await self._exchange(transport, command)

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

    async def _exchange(self, transport: asyncio.Transport, command: bytes) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(self._deadline, self._expire, waiter)
        transport.write(command)
        try:
            reply = await waiter
        except BaseException:
            # The reply may still come; it must not be taken for the next command's.
            transport.abort()
            self._transport = None
            raise
        finally:
            timer.cancel()
            self._waiter = None
        if isinstance(reply, hiredis.ReplyError):
            raise ResponseError(str(reply))

    def _expire(self, waiter: asyncio.Future[object]) -> None:
        if not waiter.done():
            waiter.set_exception(TimeoutError(f"Redis did not answer within {self._deadline} s"))

    def data_received(self, data: bytes) -> None:
        """Take Redis' reply."""
        self._replies.feed(data)
        reply = self._replies.gets()
        if reply is not False and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Redis has closed the connection."""
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("Redis closed the connection"))
