"""Waiting until everything in the streams has been counted."""

import asyncio
import time

import asyncpg
import redis.asyncio

from postmeter.cli.local.processes.member import Member
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import redis_clients, streams

_QUERIES = Queries("postmeter.cli.local.processes", "drain.sql")
DRAIN_SECONDS = 10.0
_POLL_SECONDS = 0.05


def wait_drained(postgres_dsn: str, redis_url: str, aggregator: Member) -> None:
    """Wait until the aggregator has committed what the streams hold, at most DRAIN_SECONDS.

    A courtesy, so that the next start has nothing to catch up with: what is not counted by then stays in
    the streams and is counted later. Gives up when the aggregator or a store does not answer.
    """
    try:
        asyncio.run(_drain(postgres_dsn, redis_url, aggregator))
    except (OSError, TimeoutError, asyncpg.PostgresError, redis.RedisError):
        return


async def _drain(postgres_dsn: str, redis_url: str, aggregator: Member) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    connection = await asyncpg.connect(postgres_dsn, timeout=2.0, command_timeout=2.0)
    client = redis_clients.client(Secret(redis_url), socket_timeout=2.0)
    try:
        ends = await _stream_ends(client, list(await _positions(connection)))
        while time.monotonic() < deadline and _alive(aggregator):
            positions = await _positions(connection)
            if all(positions.get(shard, (0, 0)) >= end for shard, end in ends.items()):
                return
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await client.aclose()
        await connection.close()


async def _positions(connection: Connection) -> dict[int, tuple[int, int]]:
    """Up to where each shard's stream is counted."""
    return {row["shard"]: _number(row["position"]) for row in await connection.fetch(_QUERIES["positions"])}


async def _stream_ends(client: "redis.asyncio.Redis", shards: list[int]) -> dict[int, tuple[int, int]]:
    """Return the id of each stream's last entry; a stream without entries is left out."""
    ends = {}
    for shard in shards:
        newest = await client.xrevrange(streams.stream(shard), count=1)
        if newest:
            identifier = newest[0][0]
            assert isinstance(identifier, bytes)
            ends[shard] = _number(identifier.decode())
    return ends


def _alive(member: Member) -> bool:
    return member.process is not None and member.process.returncode is None


def _number(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
