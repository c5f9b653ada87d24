"""One connection to Redis that appends batches to streams, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from postmeter.shared.records import BATCH, RECORDS
from postmeter.shared.secret import Secret
from postmeter.shared.streams import stream

# What an append can fail with: all of it means that the batch goes to the spool.
FAILURES = (RedisError, OSError, asyncio.TimeoutError)


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


class Lane:
    """Appends batches over one connection of redis-py, which brings auth, TLS and reconnection.

    The command is packed here: for a batch that costs a tenth of packing it argument by argument.
    """

    def __init__(self, url: Secret, shards: int, deadline: float) -> None:
        pool = ConnectionPool.from_url(url.reveal(), socket_connect_timeout=deadline)
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._deadline = deadline
        self._heads = [
            b"*7\r\n$4\r\nXADD\r\n" + _bulk(stream(shard).encode()) + b"$1\r\n*\r\n" for shard in range(shards)
        ]

    async def append(self, shard: int, batch_id: bytes, packed: bytes) -> None:
        """Return once Redis has acknowledged the batch. Raises one of FAILURES within the deadline.

        A failure does not mean that Redis has not got the batch: try it again under the same id only.
        """
        head = self._heads[shard] + _bulk(BATCH) + _bulk(batch_id) + _bulk(RECORDS) + b"$%d\r\n" % len(packed)
        command = (head, packed, b"\r\n") if len(packed) > 65536 else (head + packed + b"\r\n",)
        try:
            async with asyncio.timeout(self._deadline):
                reused = self._connection.is_connected
                try:
                    await self._ask(command)
                except RedisConnectionError:
                    # A connection that idled through a restart of Redis is found broken only now.
                    if not reused:
                        raise
                    await self._ask(command)
        except BaseException:
            await self.close()
            raise

    async def ping(self) -> None:
        """Return once Redis has answered. Raises one of FAILURES."""
        try:
            async with asyncio.timeout(self._deadline):
                await self._ask((b"*1\r\n$4\r\nPING\r\n",))
        except BaseException:
            await self.close()
            raise

    async def _ask(self, command: Iterable[bytes]) -> None:
        await self._connection.send_packed_command(command, check_health=False)
        await self._connection.read_response(disable_decoding=True)

    async def close(self) -> None:
        """Drop the connection; the next append makes a new one."""
        await self._connection.disconnect(nowait=True)
