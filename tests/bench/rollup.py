"""Events per second from the streams to committed rollups, one aggregator process.

Run: .venv/bin/python -m tests.bench.rollup [--messages 200000] [--hits 400000] [--rounds 3]

Starts its own Postgres and Redis with the settings of local mode, registers the messages through the streams,
and then for each round starts a fresh aggregator (nothing remembered), waits until it holds all shards, appends
the hits as packed batches and takes the time from the first append to the moment at which the positions of all
shards have reached the ends of their streams. See README.md beside this file for what the figure means.
"""

import argparse
import asyncio
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import asyncpg
import redis

from postmeter.cli.local.binaries import find_postgres, find_redis
from postmeter.cli.local.postgres_server import PostgresServer
from postmeter.cli.local.redis_server import RedisServer
from postmeter.shared import records, streams, uuid7
from postmeter.shared.migrate import migrate
from postmeter.shared.records import Hit, Registration
from tests.product import descendants

SHARDS = 4
AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64) Client/{n}".encode() for n in range(200)]
RUN = "from postmeter.aggregator.service import main; main()"


def registrations(messages: list[bytes]) -> list[Registration]:
    now = time.time_ns() // 1000
    return [
        Registration(
            at=now,
            workspace=1,
            message=message,
            created=now,
            campaign=f"campaign-{n % 50}",
            campaign_name="",
            from_address="news@shop.example",
            from_domain=f"shop{n % 4}.example",
            to_hash=f"{n:064x}",
            to_domain="reader.example",
            subject="Spring is here",
            provider="SENDGRID",
            provider_account="",
            provider_message=f"sg-{n}",
            template="welcome",
            tags=[],
        )
        for n, message in enumerate(messages)
    ]


def hits(messages: list[bytes], count: int, noise: random.Random) -> list[Hit]:
    """Opens and clicks (three to one) of random messages, within an hour, from many addresses."""
    now = time.time_ns() // 1000
    return [
        Hit(
            at=now - noise.randrange(3_600_000_000),
            workspace=1,
            message=noise.choice(messages),
            url=f"https://shop.example/offer/{n % 40}?utm_source=mail" if n % 4 == 0 else "",
            prefetch=n % 50 == 0,
            user_agent=noise.choice(AGENTS),
            ip=f"{noise.randrange(1, 224)}.{noise.randrange(256)}.{noise.randrange(256)}.{noise.randrange(256)}",
        )
        for n in range(count)
    ]


def append(client: "redis.Redis", found: list[Hit] | list[Registration], per_batch: int) -> float:
    """Append as the tracking-service does, each record to its message's shard. Returns when the first was sent."""
    producer, together = uuid.uuid4().hex, per_batch * SHARDS
    entries: list[tuple[int, bytes]] = []
    for start in range(0, len(found), together):
        parts: dict[int, list[bytes]] = {}
        for one in found[start : start + together]:
            shard = streams.slot_of(one.workspace, one.message) % SHARDS
            parts.setdefault(shard, []).append(records.encode(one))
        entries += ((shard, records.join(encoded)) for shard, encoded in parts.items())
    started = time.perf_counter()
    for begin in range(0, len(entries), 200):
        with client.pipeline(transaction=False) as pipeline:
            for n, (shard, body) in enumerate(entries[begin : begin + 200], begin):
                pipeline.xadd(streams.stream(shard), {records.BATCH: f"{producer}-{n}", records.RECORDS: body})
            pipeline.execute()
    return started


async def counted(dsn: str, client: "redis.Redis") -> None:
    """Wait until every shard's position has reached its stream's end."""
    connection = await asyncpg.connect(dsn)
    ends = {n: client.xinfo_stream(streams.stream(n))["last-generated-id"].decode() for n in range(SHARDS)}
    while True:
        rows = await connection.fetch("SELECT shard, position FROM shard")
        if {row["shard"]: row["position"] for row in rows} == ends:
            break
        await asyncio.sleep(0.005)
    await connection.close()


async def leased(dsn: str) -> None:
    """Wait until somebody holds all shards."""
    connection = await asyncpg.connect(dsn)
    held = "SELECT count(*) FROM shard WHERE lease_until > clock_timestamp()"
    while await connection.fetchval(held) < SHARDS:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await connection.close()


def cpu_seconds(pid: int) -> float:
    """What a process and everything below it have used until now."""
    ticks = 0
    for one in {pid, *descendants(pid)}:
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Result(NamedTuple):
    """Of one round: records a second, and microseconds of CPU a record in the aggregator and in Postgres."""

    rate: float
    aggregator: float
    postgres: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s; CPU: aggregator {self.aggregator:.1f} us, Postgres {self.postgres:.1f} us a record"


def measure(dsn: str, url: str, server: int, found: list[Hit] | list[Registration], per_batch: int) -> Result:
    """Counts these with a fresh aggregator. `server`: Postgres' process id."""
    environ = os.environ | {"POSTMETER_POSTGRES_DSN": dsn, "POSTMETER_REDIS_URL": url, "POSTMETER_SHARDS": str(SHARDS)}
    aggregator = subprocess.Popen([sys.executable, "-c", RUN], env=environ)
    try:
        asyncio.run(leased(dsn))
        client = redis.Redis.from_url(url)
        before = cpu_seconds(aggregator.pid), cpu_seconds(server)
        started = append(client, found, per_batch)
        asyncio.run(counted(dsn, client))
        seconds = time.perf_counter() - started
        used = cpu_seconds(aggregator.pid) - before[0], cpu_seconds(server) - before[1]
        return Result(len(found) / seconds, *(1e6 * cpu / len(found) for cpu in used))
    finally:
        aggregator.terminate()
        aggregator.wait(30)


async def rows_of(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    tables = ("message", "event", "engagement", "activity_15m", "dedup", "waiting", "dead_letter")
    counts = [f"{table} {await connection.fetchval(f'SELECT count(*) FROM {table}')}" for table in tables]
    opens = await connection.fetchval(
        "SELECT sum(human_opens + machine_opens + human_clicks + machine_clicks) FROM activity_1d WHERE series <> 0"
    )
    await connection.close()
    return f"hits counted {opens}; rows: {', '.join(counts)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--hits", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=200, help="records per stream entry, about")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pm-"))
    folder.chmod(0o711)
    postgres = PostgresServer(
        binaries=find_postgres(), data=folder / "postgres", sockets=folder, log=folder / "pg.log", password="bench"
    )
    broker = RedisServer(binary=find_redis(), data=folder / "redis", sockets=folder, log=folder / "redis.log")
    try:
        postgres.start()
        broker.start()
        asyncio.run(migrate(postgres.dsn()))
        messages = [uuid7.new().bytes for _ in range(options.messages)]
        where = (postgres.dsn(), broker.url, postgres.pid)
        print(f"registrations: {measure(*where, registrations(messages), options.batch)}")
        results = []
        for number in range(options.rounds):
            found = hits(messages, options.hits, random.Random(number))
            results.append(measure(*where, found, options.batch))
            print(f"hits, round {number + 1}: {results[-1]}")
        print(f"hits, median: {Result(*(statistics.median(column) for column in zip(*results, strict=True)))}")
        print(asyncio.run(rows_of(postgres.dsn())))
    finally:
        broker.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
