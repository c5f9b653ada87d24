"""Processes, connections and streams that die at the worst moment: still everything exactly once."""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from redis.typing import EncodableT, FieldT
from structlog.testing import capture_logs

from postmeter.aggregator import held
from postmeter.aggregator.conversions.resolver import Resolver
from postmeter.aggregator.errors import LeaseLost
from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.fold import moments
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.service import serve
from postmeter.aggregator.stream import reader
from postmeter.aggregator.stream.batches import Batch
from postmeter.aggregator.stream.lease import Leases, Move, advance
from postmeter.aggregator.worker import Worker
from postmeter.shared.errors import SettingsError
from postmeter.shared.storage import postgres
from postmeter.shared.stream import live_totals, streams
from tests.aggregation import AT, Bench, batch, bench, hit, registration
from tests.databases import on_database
from tests.integration.aggregator_process import process
from tests.product import free_port
from tests.waiting import until

MESSAGES = 50


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


async def load(at: Bench, batches: int) -> int:
    """Append batches of hits to all shards while others act; every tenth is appended twice. Returns the hits."""
    noise = random.Random(7)
    for shard in range(3):
        await at.streams.append(shard, *(registration(n) for n in range(shard, MESSAGES, 3)))
    hits = 0
    for number in range(batches):
        found = [hit(noise.randrange(MESSAGES), AT + noise.randrange(10**10)) for _ in range(40)]
        for _ in range(2 if number % 10 == 0 else 1):
            await at.streams.append(number % 3, *found, batch_id=f"load-{number}")
        hits += len(found)
        await asyncio.sleep(0.005)
    return hits


async def settled(at: Bench) -> None:
    await at.counted()

    async def none_waits() -> bool:
        return bool(await at.value("SELECT count(*) FROM waiting") == 0)

    await until(none_waits)


async def check(at: Bench, hits: int) -> None:
    for table in ("activity_15m", "activity_1h", "activity_1d"):
        total = await at.total(table)
        assert total == {"human_opens": hits, "unique_opens": MESSAGES}, table
    assert await at.value("SELECT count(*) FROM event") == hits
    assert await at.value("SELECT sum(opens) FROM live_total") == hits


async def terminate_backends(at: Bench, done: asyncio.Event) -> int:
    """Cut a random connection of the aggregators, whatever statement it is in, again and again."""
    cut = 0
    while not done.is_set():
        cut += await at.value(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'postmeter-aggregator'"
            " AND (state <> 'idle' OR random() < 0.1) ORDER BY random() LIMIT 1) AS victim"
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), random.uniform(0.0, 0.05))
    return cut


async def test_connections_cut_at_random_statements(at: Bench) -> None:
    done = asyncio.Event()
    async with at.aggregator(), at.aggregator():
        cutting = asyncio.create_task(terminate_backends(at, done))
        hits = await load(at, 200)
        done.set()
        assert await cutting > 5
        await settled(at)
    await check(at, hits)


async def holds_shards(at: Bench, epochs: int) -> None:
    """Wait until the shards have been leased anew since their epochs summed up to that."""

    async def leased() -> bool:
        return bool(await at.value("SELECT coalesce(sum(epoch), 0) FROM shard WHERE lease_until > now()") > epochs)

    await until(leased)


async def test_killed_processes_are_taken_over(at: Bench) -> None:
    loading = asyncio.create_task(load(at, 600))
    epochs = 0
    for _ in range(3):
        with process(at, 3) as running:
            await holds_shards(at, epochs)
            before = await at.value("SELECT count(*) FROM event")

            async def counts(before: int = before) -> bool:
                return bool(await at.value("SELECT count(*) FROM event") > before) or loading.done()

            await until(counts)
            running.send_signal(signal.SIGKILL)
        epochs = await at.value("SELECT sum(epoch) FROM shard")
    hits = await loading
    assert epochs >= 9
    async with at.aggregator():
        await settled(at)
    await check(at, hits)


async def test_a_stale_owner_cannot_commit(at: Bench) -> None:
    counters = AggregatorMetrics(CollectorRegistry())
    pool = await postgres.connect(at.settings, "test", 10, moments.prepare)
    slow, quick = (Leases(pool, owner, 0.0, counters) for owner in ("slow", "quick"))
    await slow.enlist(1)
    (stale,) = await slow.acquire(5)
    (lease,) = await quick.acquire(5)
    assert (lease.shard, lease.epoch) == (stale.shard, stale.epoch + 1)
    flusher = Flusher(at.settings, counters)
    work = [Batch(b"one", [registration(1), hit(1)])]
    async with pool.acquire() as connection:
        with pytest.raises(LeaseLost):
            await flusher.flush(connection, [Move(stale, "5-0")], work)
        assert await at.total() == {}
        assert await at.value("SELECT count(*) FROM message") == 0
        await flusher.flush(connection, [Move(lease, "5-0")], work)
        with pytest.raises(LeaseLost):
            await flusher.flush(connection, [Move(lease, "6-0")], [Batch(b"two", [hit(1)])])
    await pool.close()
    assert await at.total() == {"human_opens": 1, "unique_opens": 1}


async def test_leases_are_renewed_while_another_aggregator_hangs_in_its_commit(at: Bench) -> None:
    """Its shard's row is locked for as long; the others' shards are looked after, and taken over, all the same."""
    counters = AggregatorMetrics(CollectorRegistry())
    pool = await postgres.connect(at.settings, "test", 10, moments.prepare)
    hanging, quick = Leases(pool, "hanging", 600.0, counters), Leases(pool, "quick", 600.0, counters)
    await quick.enlist(3)
    (own,) = await quick.acquire(1)
    moving, other = await hanging.acquire(2)
    await at.db.execute("UPDATE shard SET lease_until = clock_timestamp() WHERE owner = 'hanging'")
    async with asyncio.timeout(5), pool.acquire() as connection, connection.transaction():
        await advance(connection, [Move(moving, "5-0")])
        await quick.enlist(4)
        assert await quick.renew() == {own.shard: own.epoch}
        assert {lease.shard for lease in await quick.acquire(4)} == {other.shard, 3}
    await pool.close()


async def test_aggregators_share_the_shards_and_give_them_back(at: Bench) -> None:
    async def owners(expected: list[int]) -> None:
        async def so() -> bool:
            rows = await at.db.fetch(
                "SELECT count(*) AS n FROM shard WHERE lease_until > now() GROUP BY owner ORDER BY n"
            )
            return [row["n"] for row in rows] == expected

        await until(so)

    async with at.aggregator(shards=5):
        await owners([5])
        one, other = at.aggregator(shards=5), at.aggregator(shards=5)
        async with one, other:
            await owners([1, 2, 2])
        await owners([5])
    assert await at.value("SELECT count(*) FROM shard WHERE owner IS NOT NULL") == 0
    assert await at.value("SELECT count(*) FROM aggregator") == 0


async def test_too_few_connections_are_refused_at_the_start(at: Bench) -> None:
    with pytest.raises(SettingsError, match="POSTMETER_POSTGRES_POOL"):
        await serve(replace(at.settings, postgres_pool=5), asyncio.Event())


async def test_a_recreated_stream_is_read_again_and_nothing_counts_twice(at: Bench) -> None:
    await at.streams.append(0, registration(1), hit(1), batch_id="kept")
    async with at.aggregator():
        await at.counted()
        name = streams.stream(0)
        await at.client.delete(name)
        old: dict[FieldT, EncodableT] = {b"b": b"kept", b"r": batch([registration(1), hit(1)])}
        new: dict[FieldT, EncodableT] = {b"b": b"new", b"r": batch([hit(1), hit(1)])}
        await at.client.xadd(name, old, id="1700000000000-1")
        await at.client.xadd(name, new, id="1700000000000-2")
        await at.counted()
    assert await at.value("SELECT position FROM shard WHERE shard = 0") == "1700000000000-2"
    assert await at.total() == {"human_opens": 3, "unique_opens": 1}


async def test_live_totals_come_back_after_redis_lost_everything(at: Bench) -> None:
    async def published() -> bool:
        shards: Any = await at.client.hgetall(streams.live(1))
        return live_totals.total(map(live_totals.decode, shards.values())) == live_totals.LiveTotals(
            opens=2, unique_opens=1
        )

    await at.streams.append(0, registration(1), hit(1))
    async with at.aggregator():
        await at.counted()
        await at.streams.append(1, hit(1))
        await until(published)
        await at.client.flushdb()
        await until(published)
    await at.client.flushdb()
    async with at.aggregator():
        await until(published)


async def retries(port: int) -> float:
    """How often an aggregator has tried again after trouble, as its metrics have it."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        for family in text_string_to_metric_families(await answer.text()):
            for sample in family.samples:
                if sample.name == "postmeter_flush_retries_total" and sample.labels["cause"] == "connection":
                    return sample.value
    return 0.0


async def test_a_full_redis_is_counted_empty(at: Bench) -> None:
    """What is counted makes room, so nothing else that Redis refuses may stop the counting."""
    await at.streams.append(0, registration(0), hit(0))
    async with at.aggregator():
        await at.counted()
    await at.streams.append(0, *(hit(0, AT + n) for n in range(1, 100)))
    await at.client.config_set("maxmemory", 1)
    try:
        async with at.aggregator():
            await at.counted()
            assert await at.value("SELECT sum(opens) FROM live_total") == 100
            await at.client.config_set("maxmemory", 0)

            async def published() -> bool:
                shards: Any = await at.client.hgetall(streams.live(1))
                return live_totals.total(map(live_totals.decode, shards.values())).opens == 100

            await until(published)
    finally:
        await at.client.config_set("maxmemory", 0)


async def test_a_database_that_is_away_fills_no_log(at: Bench) -> None:
    port = free_port()
    outside = await asyncpg.connect(on_database(at.dsn, "postgres"))
    name = await at.value("SELECT current_database()")
    with capture_logs() as lines:
        async with at.aggregator(ops_port=port):
            await at.streams.append(0, registration(1), hit(1))
            await at.counted()
            await outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            await outside.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = $1 AND application_name = 'postmeter-aggregator'",
                name,
            )
            for shard in range(3):
                await at.streams.append(shard, hit(1))

            async def tried_often() -> bool:
                return await retries(port) >= 15

            await until(tried_often)
            await outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await at.counted()
    await outside.close()
    stalls = [line for line in lines if line["event"] == "shard stalls, trying again"]
    assert lines[0]["event"] == "aggregator runs"
    assert {line["shard"] for line in stalls} == {0, 1, 2}
    assert len(stalls) < 15
    assert {line["log_level"] for line in lines} == {"warning", "info"}
    assert not any("exc_info" in line for line in lines)
    assert "shard counts again" in {line["event"] for line in lines}


async def test_a_database_that_is_set_back_is_counted_from_there_on(at: Bench) -> None:
    """As a replica that takes over and lacks what was committed last: the aggregator has heard of it, and it is not."""
    outside = await asyncpg.connect(on_database(at.dsn, "postgres"))
    name = await at.value("SELECT current_database()")

    async def swap(*statements: str) -> None:
        """Do this while nobody is connected."""
        await at.db.close()
        await outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await outside.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name)
        for statement in statements:
            await outside.execute(statement)
        await outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        at.db = await asyncpg.connect(at.dsn)

    async with at.aggregator():
        await at.streams.append(1, registration(1), hit(1, AT - 1))
        await at.counted()
        await swap(f'CREATE DATABASE "{name}_replica" TEMPLATE "{name}"')
        await at.streams.append(1, registration(2), hit(1, url="https://a.example/x"), hit(2))
        await at.counted()
        await swap(
            f'ALTER DATABASE "{name}" RENAME TO "{name}_gone"',
            f'ALTER DATABASE "{name}_replica" RENAME TO "{name}"',
            f'DROP DATABASE "{name}_gone"',
        )
        await at.counted()  # though nothing more has come
    await outside.close()
    assert await at.total() == {"human_opens": 2, "unique_opens": 2, "human_clicks": 1, "unique_clicks": 1}
    assert await at.value("SELECT count(*) FROM message") == 2
    assert await at.value("SELECT url FROM history WHERE type = 11") == "https://a.example/x"


async def test_what_postgres_does_not_call_counted_is_not_trimmed(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard in which nothing comes is as far as it was before a replica took over, for all that its worker knows."""
    monkeypatch.setattr(held, "TRIM_SECONDS", 0.0)
    monkeypatch.setattr(reader, "TRIM_MARGIN_MS", 0)
    counters, name = AggregatorMetrics(CollectorRegistry()), streams.stream(1)
    pool = await postgres.connect(at.settings, "test", 10, moments.prepare)
    leases = Leases(pool, "test", 600.0, counters)
    await leases.enlist(2)
    _, lease = await leases.acquire(2)
    for entry in ("1-0", "2-0"):
        await at.client.xadd(name, {"b": entry}, id=entry)
    await at.db.execute("UPDATE shard SET position = '1-0' WHERE shard = 1")
    lease.position = "2-0"
    resolver = Resolver(pool, at.client, at.settings, counters)
    worker = Worker(pool, at.client, Flusher(at.settings, counters), at.settings, counters, resolver, asyncio.Event())
    await worker._look_after(held.Held(lease, counters))
    await pool.close()
    assert [entry for entry, _ in await at.client.xrange(name) or ()] == [b"2-0"]


async def test_a_flush_that_meets_a_deadlock_is_tried_again(at: Bench) -> None:
    """A transaction that locks the rows a flush needs in the other order: whoever is chosen, it counts once."""
    async with at.aggregator():
        await at.streams.append(0, registration(1), registration(2), hit(1), hit(2))
        await at.counted()
    other = await asyncpg.connect(at.dsn)
    lock = "SELECT FROM engagement WHERE message = $1 FOR UPDATE"
    ids = [row["message"] for row in await at.db.fetch("SELECT message FROM engagement ORDER BY message")]
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SET LOCAL deadlock_timeout = '10s'")
    await other.execute(lock, ids[1])
    async with at.aggregator():
        await at.streams.append(0, hit(1, AT - 1), hit(2, AT - 1))

        async def flush_waits() -> bool:
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            return bool(await at.value(f"{waits} AND datname = current_database()"))

        await until(flush_waits)
        with contextlib.suppress(asyncpg.DeadlockDetectedError):
            await other.execute(lock, ids[0])
        await transaction.rollback()
        await at.counted()
    await other.close()
    assert await at.total() == {"human_opens": 4, "unique_opens": 2}
    earlier = "SELECT count(*) FROM engagement WHERE (extract(epoch FROM at) * 1000000)::bigint = $1"
    assert await at.value(earlier, AT - 1) == 2
