"""A process's workers: one counts, unless it falls behind; wherever shards are counted, each hit counts once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from postmeter.aggregator import crew
from postmeter.aggregator.conversions.resolver import Resolver
from postmeter.aggregator.crew import Crew
from postmeter.aggregator.errors import LeaseLost
from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.fold import moments
from postmeter.aggregator.held import Held
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.stream.lease import Leases, Move, advance
from postmeter.aggregator.worker import Worker
from postmeter.shared.storage import postgres
from postmeter.shared.stream import records, streams
from tests.aggregation import Bench, batch, bench, hit, registration
from tests.waiting import until, until_so

SHARDS = WORKERS = 4


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


@asynccontextmanager
async def counting(at: Bench) -> AsyncIterator[tuple[Crew, list[Worker]]]:
    """A crew that runs and holds all shards, and its workers."""
    settings = replace(at.settings, batch_records=20, shards=SHARDS)
    counters, behind = AggregatorMetrics(CollectorRegistry()), asyncio.Event()
    pool = await postgres.connect(settings, "test", 10, moments.prepare, moments.PLANS)
    leases = Leases(pool, "test", 600.0, counters)
    await leases.enlist(SHARDS)
    flusher, resolver = Flusher(settings, counters), Resolver(pool, at.client, settings, counters)
    workers = [Worker(pool, at.client, flusher, settings, counters, resolver, behind) for _ in range(WORKERS)]
    made = Crew(workers, behind)
    for lease in await leases.acquire(SHARDS):
        made.take(lease)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.run())
        yield made, workers
        await made.give(made.shards)
        made.stop()
    await pool.close()


async def test_shards_are_shared_out_evenly_and_taken_over_from_the_dead(at: Bench) -> None:
    pool = await postgres.connect(at.settings, "test", 10, moments.prepare, moments.PLANS)
    a, b, c = (Leases(pool, owner, 600.0, AggregatorMetrics(CollectorRegistry())) for owner in "abc")
    await a.enlist(5)
    for one in (a, b):
        await one.renew()
    assert [await one.share() for one in (a, b, c)] == [3, 2, 0]
    old = await a.acquire(3)
    assert [lease.epoch for lease in old] == [1] * 3
    assert [len(await one.acquire(5)) for one in (b, a, b)] == [2, 0, 0]
    await pool.execute("UPDATE shard SET lease_until = $1 WHERE owner = 'a'", 0)
    assert await a.acquire(5) == []
    new = await b.acquire(5)
    assert [lease.epoch for lease in new] == [2] * 3
    assert await a.renew() == {}
    with pytest.raises(LeaseLost):  # whoever slept through the takeover
        await advance(pool, [Move(old[0], "5-0")])
    await advance(pool, [Move(new[0], "5-0")])
    with pytest.raises(LeaseLost):  # whoever begins where it is counted already
        await advance(pool, [Move(new[0], "6-0")])
    await pool.close()


async def append_at_once(at: Bench, number: int) -> None:
    """So many hits, each in an entry of its own, of which nobody reads only a part."""
    async with at.client.pipeline() as together:
        for n in range(number):
            hits = batch([hit(1 + n % 20)])
            together.xadd(streams.stream(n % SHARDS), {records.BATCH: f"b-{n}", records.RECORDS: hits})
        await together.execute()


async def test_one_worker_counts_until_it_falls_behind(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "LOOK_SECONDS", 0.05)
    async with at.aggregator(shards=SHARDS):
        await at.streams.append(0, *(registration(n) for n in range(1, 21)))
        await at.counted()
    async with counting(at) as (found, workers):

        def shares() -> list[int]:
            return [len(worker.leases) for worker in workers]

        async def trickle() -> None:
            for n in range(2 * SHARDS):
                await at.streams.append(n % SHARDS, hit(1 + n))

        await trickle()
        await at.counted()
        assert shares() == [SHARDS, 0, 0, 0]
        await append_at_once(at, 100)
        await until_so(lambda: shares() == [1] * WORKERS)
        await trickle()
        found.gather_seconds = 0.0
        await trickle()
        await until_so(lambda: shares() == [SHARDS, 0, 0, 0])
        await trickle()
        await at.counted()
        assert (await at.total())["human_opens"] == 4 * 2 * SHARDS + 100


@pytest.mark.parametrize("leave", [False, True], ids=["to change their worker", "to leave for another aggregator"])
async def test_leases_are_renewed_while_shards_wait_for_a_flush_to_end(at: Bench, leave: bool) -> None:
    async with at.aggregator(shards=SHARDS, batch_records=20), AsyncExitStack() as held:
        await at.streams.append(0, *(registration(n) for n in range(1, 21)))
        await at.counted()
        waits = "SELECT pid, query_start FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1"
        database = await at.value("SELECT current_database()")
        other = await asyncpg.connect(at.dsn)
        async with other.transaction():
            await other.execute("SELECT FROM slot FOR UPDATE")
            await append_at_once(at, 100)
            await until(lambda: at.value(f"SELECT EXISTS ({waits})", database))
            if leave:
                await held.enter_async_context(at.aggregator(shards=SHARDS))
                await until(lambda: at.value("SELECT count(*) = 2 FROM aggregator"))
            waiting, lease = await at.db.fetchrow(waits, database), await at.value("SELECT min(lease_until) FROM shard")
            renewed = "SELECT min(lease_until) > $1::timestamptz + interval '2 seconds' FROM shard"
            await until(lambda: at.value(renewed, lease))
            assert await at.db.fetchrow(waits, database) == waiting
        await other.close()
        await at.counted()
        assert (await at.total())["human_opens"] == 100
        await until(lambda: at.value("SELECT array_agg(DISTINCT epoch) = $1 FROM shard", [1, 2] if leave else [1]))


async def test_who_slept_through_its_leases_counts_on_under_them(at: Bench) -> None:
    pool = await postgres.connect(at.settings, "test", 10)
    slept, other = (Leases(pool, owner, 0.0, AggregatorMetrics(CollectorRegistry())) for owner in ("slept", "other"))
    await slept.enlist(SHARDS)
    assert len(await slept.acquire(SHARDS)) == SHARDS
    assert await slept.acquire(SHARDS) == []
    assert await slept.renew() == dict.fromkeys(range(SHARDS), 1)
    assert [lease.epoch for lease in await other.acquire(SHARDS)] == [2] * SHARDS
    await pool.close()


async def test_how_long_a_shard_has_stood_still_is_known_to_the_next_worker(
    at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(Worker, "_round", fail)
    async with counting(at) as (found, workers):
        began = time.monotonic()
        await until_so(lambda: [len(worker.leases) for worker in workers] == [1] * WORKERS)
        waited = time.monotonic() - began
        assert min(held.stalled_seconds for held in found.held) >= waited


@pytest.mark.parametrize("gives_up", [False, True], ids=["waits", "gives up"])
async def test_a_shard_leaves_before_another_is_tried_alone(
    at: Bench, monkeypatch: pytest.MonkeyPatch, gives_up: bool
) -> None:
    has_it: list[bool] = []
    begun, end = asyncio.Event(), asyncio.Event()

    async def fail(worker: Worker, group: list[Held]) -> None:
        if len(group) == 1:
            has_it.append(3 in worker.leases)
            begun.set()
            await end.wait()
        raise ConnectionError("away")

    monkeypatch.setattr(Worker, "_round", fail)
    async with counting(at) as (found, _):
        found.gather_seconds = 0.0
        await begun.wait()
        giving = asyncio.create_task(found.give([3]))
        await until_so(lambda: 3 not in found.shards)
        if gives_up:
            giving.cancel()
        end.set()
        await asyncio.wait([giving])
        await until_so(lambda: len(has_it) > 1)
        assert has_it.count(True) == 1


async def test_a_lost_shard_is_given_back_while_others_wait_for_a_flush_to_end(
    at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = asyncio.Event()

    async def fail(_: Worker, group: list[Held]) -> None:
        if len(group) > 1:
            raise LeaseLost({3})
        await end.wait()

    monkeypatch.setattr(Worker, "_round", fail)
    async with counting(at) as (found, workers):
        await until_so(lambda: 3 not in found.leases)
        await until_so(lambda: bool(found._moving))
        try:
            async with asyncio.timeout(5):
                await found.give([3])
        finally:
            end.set()
        assert found.shards == [0, 1, 2]
        await until_so(lambda: sorted(len(worker.leases) for worker in workers) == [0, 1, 1, 1])
