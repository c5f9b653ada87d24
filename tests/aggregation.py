"""What the aggregator's tests share: records by hand, streams filled as the tracking-service does, tables read back."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import redis.asyncio
from msgspec import structs
from redis.typing import EncodableT, FieldT

from postmeter.aggregator.service import serve
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage.rollups import COUNTERS, TOTAL
from postmeter.shared.stream import records, redis_clients, streams
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event, Hit, Record, Registration
from tests.product import PATIENCE, reachable
from tests.roles import of_service
from tests.waiting import until

SECOND = 1_000_000
AT = (int(time.time()) // 86400 - 30) * 86400 * SECOND + 250_000
"""A moment a month ago, just after midnight."""


def message(n: int) -> bytes:
    """The id of the n-th message, a UUIDv7 of AT."""
    return ((AT // 1000) << 80 | 7 << 76 | 2 << 62 | n).to_bytes(16, "big")


def registration(n: int, **changes: Any) -> Registration:
    given = Registration(
        at=AT,
        workspace=1,
        message=message(n),
        created=AT,
        campaign="spring",
        campaign_name="Spring",
        from_address="news@shop.example",
        from_domain="shop.example",
        to_hash=f"{n:064x}",
        to_domain="reader.example",
        subject="Hello",
        provider="SENDGRID",
        provider_account="",
        provider_message=f"sg-{n}",
        template="welcome",
        tags=["b", "a"],
    )
    return structs.replace(given, **changes)


def hit(n: int, at: int = AT, **changes: Any) -> Hit:
    given = Hit(
        at=at,
        workspace=1,
        message=message(n),
        url="",
        prefetch=False,
        user_agent=b"Thunderbird",
        ip="203.0.113.77",
    )
    return structs.replace(given, **changes)


def event(kind: EventType, n: int | None = None, at: int = AT, **changes: Any) -> Event:
    given = Event(
        at=at,
        received=at,
        workspace=1,
        type=int(kind),
        message=b"" if n is None else message(n),
        provider="",
        provider_message="",
        key=b"",
        digest=b"",
        bounce=0,
        reason="",
        url="",
        user_agent=b"",
        ip="",
        domain="",
        size_bytes=0,
        spam=False,
        claimed=None,
    )
    return structs.replace(given, **changes)


def batch(found: Iterable[Record]) -> bytes:
    return records.join([records.encode(record) for record in found])


class Streams:
    """Appends batches as the tracking-service does."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self.client = client
        self._sequence = 0

    async def append(self, shard: int, *found: Record, batch_id: str | None = None, packed: bytes | None = None) -> str:
        self._sequence += 1
        batch_id = batch_id or f"test-{self._sequence}"
        packed = batch(found) if packed is None else packed
        fields: dict[FieldT, EncodableT] = {records.BATCH: batch_id.encode(), records.RECORDS: packed}
        entry = await self.client.xadd(streams.stream(shard), fields)
        assert isinstance(entry, bytes)
        return entry.decode()

    async def ends(self) -> dict[int, str]:
        """The last id of each stream that exists."""
        found = {}
        for shard in range(8):
            if await self.client.exists(streams.stream(shard)):
                info = await self.client.xinfo_stream(streams.stream(shard))
                found[shard] = info["last-generated-id"].decode()
        return found


class Bench:
    """A database, a Redis and as many aggregators as the test starts."""

    def __init__(self, dsn: str, url: str, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.settings = AggregatorSettings(
            postgres_dsn=Secret(of_service(dsn, "aggregator")),
            redis_url=Secret(url),
            shards=3,
            lease_seconds=1.0,
            flush_pause=0.025,
            log_level="critical",
        )
        self.dsn = dsn
        self.db = connection
        self.client = redis_clients.client(Secret(url), protocol=2)
        self.streams = Streams(self.client)

    @asynccontextmanager
    async def aggregator(self, **changes: Any) -> AsyncIterator[asyncio.Task[None]]:
        """An aggregator that runs for the block and is then stopped as by SIGTERM.

        With an `ops_port` given, that port listens when the block begins.
        """
        stop = asyncio.Event()
        task = asyncio.create_task(serve(replace(self.settings, **changes), stop))
        try:
            if "ops_port" in changes:
                await reachable(changes["ops_port"], task)
            yield task
        finally:
            stop.set()
            await asyncio.wait_for(task, PATIENCE)

    async def counted(self) -> None:
        """Wait until every stream is counted to its end."""
        ends = await self.streams.ends()

        async def reached() -> bool:
            rows = await self.db.fetch("SELECT shard, position FROM shard")
            positions = {row["shard"]: row["position"] for row in rows}
            return all(positions.get(shard) == end for shard, end in ends.items())

        await until(reached)

    async def total(self, table: str = "activity_15m") -> dict[str, int]:
        """Sums of all counters that are not 0, which the series TOTAL must say as well."""
        sums = ", ".join(f"sum({name})::bigint AS {name}" for name in COUNTERS)
        of_series = await self.db.fetchrow(f"SELECT {sums} FROM {table} WHERE series <> $1", TOTAL)
        of_total = await self.db.fetchrow(f"SELECT {sums} FROM {table} WHERE series = $1", TOTAL)
        assert of_series is not None
        assert of_series == of_total
        return {name: value for name, value in dict(of_series).items() if value}

    async def value(self, query: str, *arguments: Any) -> Any:
        return await self.db.fetchval(query, *arguments)


@asynccontextmanager
async def bench(dsn: str, url: str) -> AsyncIterator[Bench]:
    connection = await asyncpg.connect(dsn)
    made = Bench(dsn, url, connection)
    try:
        yield made
    finally:
        await connection.close()
        await made.client.aclose()


def now() -> int:
    return time.time_ns() // 1000
