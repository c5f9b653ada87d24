"""The job that looks sending IPs up: when each is due, one replica at a time, and how it stops."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.upkeep.blocklists import job as blocklists
from postmeter.aggregator.upkeep.blocklists import lookups
from postmeter.shared.auth.secret import Secret
from tests.aggregation import bench
from tests.integration.blocklists import (
    GOOD,
    ONE,
    ONE_REVERSED,
    TWO,
    BlocklistJobs,
    looking_up,
    pool_of,
)
from tests.product import PATIENCE
from tests.waiting import until


@pytest.fixture
async def world(postgres_dsn: str, redis_url: str) -> AsyncIterator[BlocklistJobs]:
    async with looking_up(postgres_dsn, redis_url) as made:
        yield made


async def test_each_ip_is_due_by_itself(world: BlocklistJobs) -> None:
    world.dns.add_zone(GOOD)
    await world.add(ONE)
    job = world.job(GOOD)
    assert await job.once() == 1
    assert await job.once() == 0
    assert await world.job(GOOD).once() == 0, "a restart repeats nothing"
    await world.add(TWO)
    assert await job.once() == 1, "a new one does not wait for the others"
    await world.db.execute("UPDATE sending_ip SET attempted_at = now() - interval '3599 seconds'")
    assert await job.once() == 0
    await world.db.execute(
        "UPDATE sending_ip SET attempted_at = now() - interval '3600 seconds' WHERE ip = $1", ip_address(TWO)
    )
    assert await job.once() == 1
    assert world.dns.questions(GOOD)[ONE_REVERSED] == 1


async def test_of_two_replicas_one_does_the_work(world: BlocklistJobs) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(*(f"9.1.2.{last}" for last in range(1, 41)))
    stop = asyncio.Event()
    settings = world.configured(GOOD)
    async with pool_of(settings) as another, asyncio.TaskGroup() as tasks:
        for pool in (world.pool, another):
            counters = AggregatorMetrics(CollectorRegistry())
            tasks.create_task(blocklists.run(pool, settings, counters, stop, poll=0.001))

        async def all_checked() -> bool:
            return len(await world.checked()) == 40

        await until(all_checked)
        await world.add("9.1.2.50")

        async def again() -> bool:
            return len(await world.checked()) == 41

        await until(again)
        stop.set()
    asked = world.dns.questions(GOOD)
    rounds = {asked.pop("2.0.0.127"), asked.pop("1.0.0.127")}
    assert rounds in ({1}, {2}), "the new one has a round of its own unless the first was not over yet"
    assert len(asked) == 41
    assert set(asked.values()) == {1}


async def test_nothing_is_done_while_another_session_holds_the_lock(world: BlocklistJobs) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(ONE)
    job = world.job(GOOD)
    assert await world.db.fetchval("SELECT pg_try_advisory_lock($1)", blocklists.LOCK)
    assert await job.once() == 0
    assert not world.dns.asked
    await world.db.execute("SELECT pg_advisory_unlock($1)", blocklists.LOCK)
    assert await job.once() == 1
    assert await world.db.fetchval("SELECT pg_try_advisory_lock($1)", blocklists.LOCK), "given back"


async def test_who_loses_the_lock_stores_nothing(world: BlocklistJobs) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    world.dns.trouble[f"2.1.9.{GOOD}"] = "silent"
    await world.add(ONE)
    working = asyncio.create_task(world.job(GOOD).once())

    async def asked() -> bool:
        return f"{ONE_REVERSED}.{GOOD}" in world.dns.asked

    await until(asked)
    await world.db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::bigint::oid",
        blocklists.LOCK & 0xFFFFFFFF,
    )
    world.dns.trouble.clear()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await working
    assert await world.db.fetchval("SELECT attempted_at FROM sending_ip") is None
    assert await world.job(GOOD).once() == 1
    assert await world.listings() == {ONE: [GOOD]}


async def test_stopping_does_not_wait_for_silent_nameservers(
    world: BlocklistJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "LOOKUP_SECONDS", 10 * PATIENCE)
    world.dns.add_zone(GOOD)
    world.dns.trouble[f"2.1.9.{GOOD}"] = "silent"
    await world.add(*(f"9.1.2.{last}" for last in range(1, 200)))
    stop = asyncio.Event()
    running = asyncio.create_task(blocklists.run(world.pool, world.configured(GOOD), world.counters, stop))

    async def asked() -> bool:
        return any(name.endswith(f"2.1.9.{GOOD}") for name in world.dns.asked)

    await until(asked)
    stop.set()
    await asyncio.wait_for(running, PATIENCE)
    assert await world.db.fetchval("SELECT count(attempted_at) FROM sending_ip") == 0, "they stay due"
    assert await world.db.fetchval("SELECT pg_try_advisory_lock($1)", blocklists.LOCK)


async def test_without_zones_nothing_is_asked(world: BlocklistJobs) -> None:
    await world.add(ONE)
    await asyncio.wait_for(blocklists.run(world.pool, world.settings, world.counters, asyncio.Event()), PATIENCE)
    assert not world.dns.asked


async def test_the_aggregator_runs_the_job(world: BlocklistJobs, postgres_dsn: str, redis_url: str) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(ONE)
    async with bench(postgres_dsn, redis_url) as at:
        named = f"127.0.0.1:{world.dns.port}"
        async with at.aggregator(dnsbl_zones=Secret(GOOD), dnsbl_nameservers=named):

            async def listed() -> bool:
                return await world.listings() == {ONE: [GOOD]}

            await until(listed)
