"""Clocks that are wrong, or jump: the aggregator's own and that of Postgres."""

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from postmeter.aggregator import refreshed
from postmeter.aggregator.culprits import Counting
from postmeter.aggregator.errors import ClocksApart
from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.store import server_run
from postmeter.aggregator.stream.batches import Batch
from postmeter.aggregator.stream.lease import Leases
from postmeter.shared.storage import postgres
from tests.aggregation import Bench, bench, hit, registration
from tests.waiting import until

DAYS = 4 * 86_400 * 10**9


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


def put_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """The aggregator's clock by days, as far as it compares it."""
    monkeypatch.setattr(server_run, "time", SimpleNamespace(time_ns=lambda: time.time_ns() + DAYS))


async def test_a_clock_that_is_days_away_counts_nothing(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its partitions are not those that are asked for: all records would be put aside, and most of them dropped."""
    put_ahead(monkeypatch)
    pool = await postgres.connect(at.settings, "test", 10, server_run.ServerRun().prepare)
    with pytest.raises(ClocksApart, match=r"34\d{4} seconds ahead of that of Postgres"):
        await pool.fetchval("SELECT 1")
    monkeypatch.undo()
    assert await pool.fetchval("SELECT 1") == 1
    await pool.close()


async def test_a_clock_that_jumps_while_it_counts_counts_nothing_until_it_is_right(
    at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections are old ones: nobody has compared clocks on them since."""
    monkeypatch.setattr(refreshed, "REFRESH_SECONDS", 0.0)
    compared = asyncio.Event()

    def jumped() -> int:
        compared.set()
        return time.time_ns() + DAYS

    async with at.aggregator():
        await at.streams.append(0, registration(1), hit(1))
        await at.counted()
        monkeypatch.setattr(server_run, "time", SimpleNamespace(time_ns=jumped))
        await at.streams.append(0, hit(1))
        await compared.wait()
        assert (await at.total())["human_opens"] == 1
        # Another one, whose clock is right, may count meanwhile.
        await until(lambda: at.value("SELECT bool_and(lease_until < clock_timestamp()) FROM shard"))
        monkeypatch.setattr(server_run, "time", time)
        await at.counted()
    assert (await at.total())["human_opens"] == 2


async def test_no_record_is_to_blame_for_a_clock_that_has_just_jumped(
    at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Postgres' clock does, there is no partition for what it calls today, whatever is counted."""
    counters = AggregatorMetrics(CollectorRegistry())
    pool = await postgres.connect(at.settings, "test", 10, server_run.ServerRun().prepare)
    leases = Leases(pool, "me", 5.0, counters)
    await leases.enlist(1)
    (lease,) = await leases.acquire(1)

    async def done(*_: object) -> None:
        raise AssertionError("something was moved")

    flusher = Flusher(at.settings, counters)
    async with pool.acquire() as connection:
        await flusher.refusal(connection, 0, Batch(b"empty"))  # clocks have been compared within the last second
        put_ahead(monkeypatch)
        await at.db.execute("ALTER TABLE dedup ADD CHECK (key <> 'mine')")
        with pytest.raises(ClocksApart):
            await Counting(flusher, done).count(connection, lease, [(Batch(b"mine", [hit(1)]), lease, "1-0")])
    assert await at.value("SELECT count(*) FROM dead_letter") == 0
    await pool.close()


async def test_leases_of_a_clock_that_was_ahead_are_void(at: Bench) -> None:
    """As where a replica takes over whose clock is behind, and the aggregator beside the server has gone with it."""
    await at.db.execute("INSERT INTO aggregator (id, seen_at) VALUES ('dead', now() + interval '1 hour')")
    await at.db.execute(
        "INSERT INTO shard (shard, owner, epoch, lease_until) SELECT n, 'dead', 1, now() + interval '1 hour'"
        " FROM generate_series(0, 2) AS n ON CONFLICT (shard) DO UPDATE"
        " SET (owner, lease_until) = (excluded.owner, excluded.lease_until)"
    )
    async with at.aggregator():
        for shard in range(3):
            await at.streams.append(shard, registration(shard), hit(shard))
        await until(lambda: counted(at, 3))


async def counted(at: Bench, opens: int) -> bool:
    return (await at.total()).get("human_opens") == opens
