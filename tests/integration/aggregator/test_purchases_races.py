"""A click that was answered before a purchase was sent is always seen, whatever fails in between (ADR 0022)."""

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio
from prometheus_client import CollectorRegistry

from postmeter.aggregator.conversions import catching_up, contacts
from postmeter.aggregator.conversions.attribution import attribute
from postmeter.aggregator.conversions.catching_up import CatchingUp
from postmeter.aggregator.fold import moments
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.store.dimensions import Dimensions
from postmeter.cli.local.servers.binaries import find_redis
from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage import postgres
from postmeter.shared.stream import records, streams
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Mail
from postmeter.tracking.durable.appender import Appender
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.durable.segment import Spooled
from postmeter.tracking.durable.shard_count import ShardCount
from postmeter.tracking.durable.spool import Spool
from postmeter.tracking.metrics import TrackingMetrics
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.integration.aggregator_process import process
from tests.integration.contact_records import purchase
from tests.integration.flushes import sides
from tests.integration.shop import Shop, open_shop, shop
from tests.integration.tracking_service import SHARDS
from tests.product import PATIENCE
from tests.waiting import until


async def noise(here: Shop, done: asyncio.Event) -> None:
    """Clicks of others, so that flushes are busy and no two shards stand at the same place."""
    links = [await here.mail(f"noise{n}@mail.example", "noise") for n in range(10)]
    while not done.is_set():
        await asyncio.gather(*map(here.click, links))
        await asyncio.sleep(0.05)  # faster than it is counted it would only pile up


async def shopping(here: Shop, contact: str, rounds: int) -> None:
    """Mail, click, buy, again: each purchase milliseconds after the click."""
    for n in range(rounds):
        link = await here.mail(contact, f"{contact}-{n}")
        await here.click(link)
        assert await here.bought(contact, 1) == f"{contact}-{n}"


async def conversions(here: Shop) -> tuple[int, int]:
    """(conversions of campaigns, of the workspace)"""
    of = "SELECT coalesce(sum(conversions), 0)::int FROM conversion_1d WHERE series"
    return await here.at.value(f"{of} <> 0"), await here.at.value(f"{of} = 0")


async def test_under_load_over_several_shards_and_aggregators(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_shop(postgres_dsn, redis_url, tmp_path) as here, here.at.aggregator(shards=SHARDS):
        done = asyncio.Event()
        busy = asyncio.create_task(noise(here, done))
        await asyncio.gather(*(shopping(here, f"c{n}@mail.example", 6) for n in range(20)))
        done.set()
        await busy
        assert await conversions(here) == (120, 120)


async def test_aggregators_killed_in_between(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    """Also in the middle of an attribution, and until another one takes the shards over."""
    async with shop(postgres_dsn, redis_url, tmp_path) as here:

        async def buyer(name: str) -> None:
            for n in range(8):
                await here.click(await here.mail(name, f"{name}-{n}"))
                assert await here.bought(name, 1) == f"{name}-{n}"

        shopping = asyncio.create_task(asyncio.wait_for(buyers(buyer), PATIENCE))
        for kill in range(4):
            with process(here.at, SHARDS) as running:
                wanted = await conversions(here)

                async def moves(before: tuple[int, int] = wanted) -> bool:
                    return shopping.done() or (await conversions(here))[1] > before[1]

                await until(moves)
                running.send_signal(signal.SIGKILL)
            assert kill or not shopping.done()
        async with here.at.aggregator(shards=SHARDS):
            await shopping
        assert await conversions(here) == (32, 32)


async def buyers(buyer: Any) -> None:
    await asyncio.gather(*(buyer(f"b{n}@mail.example") for n in range(4)))


@pytest.fixture
def server(server_folder: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own, to be frozen."""
    sockets = server_folder / f"own-{tmp_path.name[-12:]}"
    sockets.mkdir()
    own = RedisServer(
        binary=find_redis(), data=tmp_path / "redis", sockets=sockets, log=tmp_path / "redis.log", memory="64mb"
    )
    own.start()
    yield own
    with contextlib.suppress(ProcessLookupError):
        os.kill(own.pid, signal.SIGCONT)
    own.stop()


async def test_clicks_that_wait_in_the_spool_come_first(postgres_dsn: str, server: RedisServer, tmp_path: Path) -> None:
    """Redis hangs when the click comes, and is back just before the purchase, or just after it."""
    async with open_shop(postgres_dsn, server.url, tmp_path, append_deadline=0.2) as here:
        for n in range(6):
            link = await here.mail("ada@mail.example", f"c{n}")
            await here.at.counted()
            os.kill(server.pid, signal.SIGSTOP)
            await asyncio.gather(*(here.click(link) for _ in range(20)))
            if n % 2:
                os.kill(server.pid, signal.SIGCONT)
                assert await here.bought("ada@mail.example", 1) == f"c{n}"
            else:
                buying = asyncio.create_task(here.bought("ada@mail.example", 1))
                await asyncio.sleep(0.02 * n)
                os.kill(server.pid, signal.SIGCONT)
                assert await buying == f"c{n}"
        assert await conversions(here) == (6, 6)


async def test_a_stream_that_is_recreated_blocks_nothing(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    """Its ids begin anew; purchases wait until that is noticed, not for ids that never come."""
    async with open_shop(postgres_dsn, redis_url, tmp_path) as here:
        link = await here.mail("ada@mail.example", "spring")
        await here.click(link)
        assert await here.bought("ada@mail.example") == "spring"
        for shard in range(SHARDS):
            await here.at.client.delete(streams.stream(shard))
        assert await here.bought("ada@mail.example", 1) == "spring"
        for shard in range(SHARDS):
            # Set back: the next ids are far behind what was read before.
            await here.at.client.delete(streams.stream(shard))
            await here.at.client.xadd(streams.stream(shard), {"b": b"old-%d" % shard, "r": b"\xdd\0\0\0\0"}, id="1-1")
        assert await here.bought("ada@mail.example", 1) == "spring"


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


async def test_a_shard_that_stands_still_is_not_waited_for_for_ever(at: Bench) -> None:
    stop = asyncio.Event()
    pool = await postgres.connect(at.settings, "test", 10, moments.prepare)
    watching = CatchingUp(pool, at.client, stall_seconds=0.2)
    assert await watching.wait(stop) is True  # there is no shard
    end = await at.streams.append(0, hit(1))
    await at.db.execute("INSERT INTO shard (shard, position) VALUES (0, '0-0'), (1, '0-0')")
    assert await watching.wait(stop) is False
    waiting = asyncio.create_task(CatchingUp(pool, at.client).wait(stop))
    await at.streams.append(0, hit(1))  # after it was looked: not waited for
    ends = (await at.streams.ends())[0]
    await at.db.execute("UPDATE shard SET position = $1 WHERE shard = 0", ends)
    assert await waiting is True
    await at.db.execute("UPDATE shard SET position = '99999999999999-0' WHERE shard = 0")
    assert await watching.wait(stop) is False  # set back, and nobody notices
    await at.db.execute("UPDATE shard SET position = $1 WHERE shard = 0", end)
    stop.set()
    assert await watching.wait(stop) is None
    await pool.close()


async def test_a_process_that_stood_still_does_not_take_others_for_standing(
    at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a clock that jumps: purchases would miss the clicks before them."""
    looked = asyncio.Event()
    hours = itertools.count()

    def an_hour_later() -> float:
        if (now := next(hours)) > 3:
            looked.set()
        return 3600.0 * now

    monkeypatch.setattr(catching_up, "time", SimpleNamespace(monotonic=an_hour_later))
    pool = await postgres.connect(at.settings, "test", 10, moments.prepare)
    end = await at.streams.append(0, hit(1))
    await at.db.execute("INSERT INTO shard (shard, position) VALUES (0, '0-0')")
    waiting = asyncio.create_task(CatchingUp(pool, at.client).wait(asyncio.Event()))
    await looked.wait()
    assert not waiting.done()
    await at.db.execute("UPDATE shard SET position = $1", end)
    assert await waiting is True
    await pool.close()


async def test_what_is_to_come_behind_the_spool_goes_there_while_anything_is_in_it(
    redis_url: str, tmp_path: Path
) -> None:
    """Also when Redis already takes batches again: there, it would overtake the clicks that are on disk."""
    spool = Spool(tmp_path / "spool", "me", 1 << 20, 1 << 20)
    appender = Appender(Secret(redis_url), 1.0)
    committer = Committer([appender], spool, TrackingMetrics(CollectorRegistry()), "me", ShardCount(1))
    client = redis.asyncio.Redis.from_url(redis_url, protocol=2)
    await committer.append([(0, b"\xc0")], behind=True)
    assert (await client.xlen(streams.stream(0)), spool.waiting) == (1, 0)
    await spool.write([Spooled(0, b"click", b"\xdd\0\0\0\0")])
    held = spool.waiting
    await committer.append([(0, b"\xc0")])
    assert (await client.xlen(streams.stream(0)), spool.waiting) == (2, held)
    await committer.append([(0, b"\xc0")], behind=True)
    assert await client.xlen(streams.stream(0)) == 2
    assert spool.waiting > held
    assert committer.trouble.is_set()  # so that it is drained at once
    await committer.finish()
    await appender.close()
    await client.aclose()
    spool.close()


async def test_a_click_that_is_about_to_be_counted_is_waited_for(at: Bench) -> None:
    """Its message was registered by a flush that could not see it waiting: the sweep counts it within a second."""
    contact = f"{1:064x}"
    async with at.aggregator():
        await at.streams.append(0, registration(1))
        await at.counted()
    click = hit(1, AT + SECOND, url="https://shop.example/")
    await at.db.execute(
        "INSERT INTO waiting (workspace, message, record) SELECT 1, id, $1 FROM message", records.encode(click)
    )
    pool = await postgres.connect(at.settings, "test", 10, moments.prepare, moments.PLANS)
    counters = AggregatorMetrics(CollectorRegistry())
    dimensions, horizon = Dimensions(100, counters), Horizon(at.settings.months())
    await at.db.execute("UPDATE shard SET owner = 'nobody', lease_until = now() + interval '1 day' WHERE shard = 0")
    async with at.aggregator():  # without the sweeper's shard
        await at.streams.append(1, purchase("p", contact, AT + 2 * SECOND))
        await until(lambda: stored(at))
        async with pool.acquire() as connection:
            done = await attribute(connection, dimensions, horizon, [(1, "p")], set())
        assert (done.to_campaign, done.to_none) == (0, 0)
        await at.db.execute("UPDATE shard SET owner = NULL, lease_until = NULL WHERE shard = 0")
        await until(lambda: attributed(at))
    assert await at.value("SELECT campaign FROM purchase") == "spring"
    await pool.close()


async def test_a_click_that_is_about_to_be_moved_to_its_message_is_waited_for(at: Bench) -> None:
    """A webhook told of the click before the registration, which brings the campaign, was counted."""
    contact = f"{1:064x}"
    told = Mail("src", contact, "reader.example", "news@shop.example", "shop.example", "", "", "", [])
    names = {"provider": "SENDGRID", "provider_message": "sg-1", "mail": told}
    click = event(EventType.CLICKED, None, AT + SECOND, url="https://shop.example/", **names)
    dimensions = Dimensions(100, AggregatorMetrics(CollectorRegistry()))
    horizon = Horizon(at.settings.months())
    async with sides(at, 1) as (side,):
        await side.flush([click])
        await side.flush([registration(1, tracks_clicks=False), purchase("p", contact, AT + 2 * SECOND)])
        done = await attribute(side.connection, dimensions, horizon, [(1, "p")], set())
        assert (done.to_campaign, done.to_none) == (0, 0)
        await side.adopt()
        done = await attribute(side.connection, dimensions, horizon, [(1, "p")], set())
        assert (done.to_campaign, done.to_none) == (1, 0)
    assert await at.value("SELECT campaign FROM purchase") == "spring"


async def test_an_overdue_purchase_does_not_wait(at: Bench) -> None:
    dimensions = Dimensions(100, AggregatorMetrics(CollectorRegistry()))
    horizon = Horizon(at.settings.months())
    async with sides(at, 1) as (side,):
        await side.flush([registration(1), purchase("p", f"{1:064x}", AT)])
        await at.db.execute(
            "INSERT INTO waiting (workspace, message, record) SELECT 1, id, $1 FROM message", records.encode(hit(1))
        )
        done = await attribute(side.connection, dimensions, horizon, [(1, "p")], set())
        assert done.to_none == 0
        for attributed_now in (1, 0):  # and once
            done = await attribute(side.connection, dimensions, horizon, [(1, "p")], {(1, "p")})
            assert done.to_none == attributed_now


async def stored(at: Bench) -> bool:
    return bool(await at.value("SELECT count(*) FROM purchase") == 1)


async def attributed(at: Bench) -> bool:
    return bool(await at.value("SELECT count(*) FROM purchase WHERE resolved_at IS NULL") == 0)


async def test_the_same_order_counted_at_the_same_time_is_stored_once(at: Bench) -> None:
    """Whoever stores a purchase holds its slot; the other asks what is known when he holds it, not before."""
    once, again = (purchase("p", f"{1:064x}", moment) for moment in (AT, AT + SECOND))
    pool = await postgres.connect(at.settings, "test", 10, moments.prepare, moments.PLANS)
    async with pool.acquire() as connection, at.aggregator():
        first = connection.transaction()
        await first.start()
        slot = streams.slot_of_name(once.workspace, "", once.id)
        await connection.execute("SELECT FROM slot WHERE slot = $1 FOR UPDATE", slot)
        await at.streams.append(0, again, hit(1))

        async def waits() -> bool:
            asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM slot%'"
            return bool(await at.value(asked))

        await until(waits)
        await contacts.store(connection, [once], [], Horizon(at.settings.months()))
        await first.commit()
        await at.counted()
    await pool.close()
    assert await at.value("SELECT count(*) FROM purchase") == 1
