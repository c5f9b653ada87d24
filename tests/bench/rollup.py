"""Events per second from the streams to committed rollups, one aggregator process (or more), beside two references.

Run: .venv/bin/python -m tests.bench.rollup [--messages 200000] [--hits 400000] [--rounds 3] [--aggregators 1]

Starts its own Postgres and Redis with the settings of local mode, registers the messages through the streams,
and then for each round starts a fresh aggregator (nothing remembered), waits until it holds all shards, appends
the hits as packed batches and takes the time from the first append to the moment at which the positions of all
shards have reached the ends of their streams. Then the same with a day of mail as `traffic` makes it, in 50 workspaces,
whose registrations the same aggregator has just counted. nginx and COPY alone are measured in the same run. See
README.md beside this file for what the figures mean.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import asyncpg
import msgspec
import redis

from postmeter.cli.local.servers.binaries import find_postgres, find_redis
from postmeter.cli.local.servers.postgres_server import PostgresServer
from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.shared.storage import uuid7
from postmeter.shared.storage.migrate import migrate
from postmeter.shared.storage.rollups import added
from postmeter.shared.stream import records, streams
from postmeter.shared.stream.records import Hit, Registration
from tests.bench import references, traffic
from tests.bench.ingest import Run
from tests.bench.letters import SECOND
from tests.product import descendants

SHARDS = 4
WORKSPACES = 50
REPEATED = 0.2
"""Of the opens of a day, those that come once more."""
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


def a_day(letters: int) -> tuple[list[Registration], list[Hit]]:
    """A campaign of so many letters over 50 workspaces, sent this morning, and the hits on it in their order."""
    noise = random.Random(letters)
    sent, acts = traffic.day(time.time_ns() // 1000 - 86_400 * SECOND, letters, letters)
    messages = [uuid7.new().bytes for _ in sent]
    registered = [
        msgspec.structs.replace(one, workspace=1 + n % WORKSPACES, campaign=f"campaign-{n % WORKSPACES}")
        for n, one in enumerate(registrations(messages))
    ]
    found = []
    for act in acts:
        url = "" if act.link is None else f"https://shop.example/offer/{act.link}"
        agent, workspace = act.agent.encode(), 1 + act.message % WORKSPACES
        hit = Hit(act.at, workspace, messages[act.message], url, act.prefetch, agent, act.ip, int(act.mark))
        found += [hit, hit] if noise.random() < REPEATED else [hit]
    return registered, found


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


def end(client: "redis.Redis", stream: str) -> str:
    """The id of its last entry; of few hits a shard may have got none."""
    return client.xinfo_stream(stream)["last-generated-id"].decode() if client.exists(stream) else "0-0"


async def counted(dsn: str, client: "redis.Redis") -> float:
    """Wait until every shard's position has reached its stream's end. Returns how many statements waited for a lock, on
    average.
    """
    connection = await asyncpg.connect(dsn)
    ends = {n: end(client, streams.stream(n)) for n in range(SHARDS)}
    looks, waiting = 0, 0
    while True:
        rows = await connection.fetch("SELECT shard, position FROM shard")
        if {row["shard"]: row["position"] for row in rows} == ends:
            break
        looks += 1
        waiting += await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        await asyncio.sleep(0.01)
    await connection.close()
    return waiting / max(1, looks)


async def leased(dsn: str, owners: int) -> None:
    """Wait until so many share all shards."""
    connection = await asyncpg.connect(dsn)
    held = "SELECT count(*), count(DISTINCT owner) FROM shard WHERE lease_until > clock_timestamp()"
    while tuple(await connection.fetchrow(held) or ()) != (SHARDS, owners):  # noqa: ASYNC110
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
    """Of one round: records a second, microseconds of CPU a record in the aggregators and in Postgres, and how many
    statements waited for a lock, on average.
    """

    rate: float
    aggregator: float
    postgres: float
    waiting: float

    def __str__(self) -> str:
        return (
            f"{self.rate:,.0f}/s; CPU: aggregator {self.aggregator:.1f} us, Postgres {self.postgres:.1f} us a record;"
            f" {self.waiting:.2f} wait for a lock"
        )


class Place(NamedTuple):
    """Where the records go: Postgres and its process id, Redis, and how many aggregators count."""

    dsn: str
    url: str
    server: int
    aggregators: int


@contextmanager
def stores(aggregators: int) -> Iterator[tuple[Place, Path]]:
    """A Postgres and a Redis of its own, with the settings of local mode and empty tables, and a folder."""
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
        yield Place(postgres.dsn(), broker.url, postgres.pid, aggregators), folder
    finally:
        broker.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def counting(place: Place) -> Iterator[list[int]]:
    """The process ids of fresh aggregators that hold all shards."""
    environ = {
        "POSTMETER_POSTGRES_DSN": place.dsn,
        "POSTMETER_REDIS_URL": place.url,
        "POSTMETER_SHARDS": str(SHARDS),
        "POSTMETER_OPS_PORT": "0",
    }
    running = [
        subprocess.Popen([sys.executable, "-c", RUN], env=os.environ | environ) for _ in range(place.aggregators)
    ]
    try:
        asyncio.run(leased(place.dsn, place.aggregators))
        yield [one.pid for one in running]
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait(30)


def measure(place: Place, pids: list[int], found: list[Hit] | list[Registration], per_batch: int) -> Result:
    """Append these and wait until they are counted."""
    client = redis.Redis.from_url(place.url)

    def used() -> tuple[float, float]:
        return sum(map(cpu_seconds, pids)), cpu_seconds(place.server)

    before = used()
    started = append(client, found, per_batch)
    waiting = asyncio.run(counted(place.dsn, client))
    seconds = time.perf_counter() - started
    aggregator, postgres = (1e6 * (now - then) / len(found) for now, then in zip(used(), before, strict=True))
    return Result(len(found) / seconds, aggregator, postgres, waiting)


def report(what: str, found: Result, nginx: Run) -> None:
    print(f"{what}: {found}; {found.rate / nginx.rate:.2f} of nginx' rate", flush=True)


async def rows_of(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    tables = ("message", "event", "engagement", "activity_15m", "dedup", "waiting", "dead_letter")
    counts = [f"{table} {await connection.fetchval(f'SELECT count(*) FROM {table}')}" for table in tables]
    opens = await connection.fetchval(
        f"SELECT sum({added(('human_opens', 'machine_opens', 'human_clicks', 'machine_clicks'))})::bigint"
        " FROM activity_1d WHERE series <> 0"
    )
    sizes = await connection.fetchrow(
        "SELECT sum(pg_relation_size(inhrelid)), sum(pg_indexes_size(inhrelid)), (SELECT count(*) FROM event)"
        " FROM pg_inherits WHERE inhparent = 'event'::regclass AND pg_relation_size(inhrelid) > 0"
    )
    assert sizes is not None
    heap, indexes, rows = sizes
    counts.append(f"history {heap / rows:.0f} bytes a row, its indexes {indexes / rows:.0f}")
    await connection.close()
    return f"hits counted {opens}; rows: {', '.join(counts)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--hits", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--aggregators", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0, help="for which nginx is asked")
    parser.add_argument("--batch", type=int, default=200, help="records per stream entry, about")
    options = parser.parse_args()
    with stores(options.aggregators) as (place, folder):
        alone = references.nginx_alone(folder, options.seconds)
        print(f"nginx, empty_gif on one core: {alone.rate:,.0f}/s, {alone.cpu:.1f} us a request")
        messages = [uuid7.new().bytes for _ in range(options.messages)]
        with counting(place) as pids:
            report("registrations", measure(place, pids, registrations(messages), options.batch), alone)
        results = []
        for number in range(options.rounds):
            found = hits(messages, options.hits, random.Random(number))
            with counting(place) as pids:
                results.append(measure(place, pids, found, options.batch))
            report(f"random hits, nothing remembered, round {number + 1}", results[-1], alone)
        median = Result(*(statistics.median(column) for column in zip(*results, strict=True)))
        report("random hits, median", median, alone)
        registered, day = a_day(options.messages)
        with counting(place) as pids:
            report("a day's registrations", measure(place, pids, registered, options.batch), alone)
            report(f"a day's {len(day):,} hits", measure(place, pids, day, options.batch), alone)
        ours, theirs = asyncio.run(references.copy_alone(place.dsn, lambda: cpu_seconds(place.server)))
        print(f"COPY alone of the same history: client {ours:.1f} us, Postgres {theirs:.1f} us a row")
        if theirs:  # ticks of a hundredth of a second; a run of some hundred hits may see none
            print(f"Postgres for a random hit: {median.postgres / theirs:.1f} times that")
        print(asyncio.run(rows_of(place.dsn)))


if __name__ == "__main__":
    main()
