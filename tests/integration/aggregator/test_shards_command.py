"""`postmeter shards`: the number of streams that records go to. That nothing is lost meanwhile: test_faults."""

import asyncio

import pytest
from click.testing import CliRunner, Result
from redis.asyncio import Redis

from postmeter.cli.main import main
from postmeter.shared.stream import shard_setting
from postmeter.shared.stream.streams import SLOTS
from postmeter.tracking.durable.shard_count import ShardCount
from tests.aggregation import bench
from tests.product import free_port
from tests.waiting import until


def run(dsn: str, url: str, *arguments: str) -> Result:
    environ = {"POSTMETER_POSTGRES_DSN": dsn, "POSTMETER_REDIS_URL": url}
    return CliRunner().invoke(main, ["shards", *arguments], env=environ)


async def test_everybody_learns_another_number(postgres_dsn: str, redis_url: str) -> None:
    async with bench(postgres_dsn, redis_url) as at, Redis.from_url(redis_url) as redis, at.aggregator(shards=2):
        shards = ShardCount(2)
        looking = asyncio.create_task(shards.run(redis))
        try:
            assert (await asyncio.to_thread(run, postgres_dsn, redis_url, "set", "5")).exit_code == 0

            async def held() -> bool:
                return bool(await at.value("SELECT count(*) FROM shard WHERE lease_until > clock_timestamp()") == 5)

            async def known() -> bool:
                return shards.now == 5

            await until(held)
            await until(known)
            listed = await asyncio.to_thread(run, postgres_dsn, redis_url, "list")
            assert [line.split("\t") for line in listed.output.splitlines()[1:]] == [
                [str(shard), "yes", "0-0"] for shard in range(5)
            ]
            # A database that was restored alone: what Redis says is counted all the same.
            await at.db.execute("DELETE FROM shard WHERE shard > 1")
            await until(held)
        finally:
            looking.cancel()


@pytest.mark.parametrize("number", ["0", str(SLOTS + 1), "x"])
def test_a_number_that_cannot_be(postgres_dsn: str, redis_url: str, number: str) -> None:
    assert run(postgres_dsn, redis_url, "set", number).exit_code == 2


def test_redis_is_away(postgres_dsn: str) -> None:
    told = run(postgres_dsn, f"redis://127.0.0.1:{free_port()}", "set", "3")
    assert told.exit_code == 1
    assert "nothing has changed; try again" in told.output


@pytest.mark.parametrize(("said", "number"), [(None, None), (b"7", 7), (b"0", None), (b"x", None), (b"9999", SLOTS)])
async def test_what_stands_in_redis_is_read_leniently(redis_url: str, said: bytes | None, number: int | None) -> None:
    async with Redis.from_url(redis_url) as redis:
        if said is not None:
            await redis.set(shard_setting.KEY, said)
        assert await shard_setting.read(redis) == number
