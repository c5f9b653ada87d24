"""Several workers of exports at once, and one at a large export: turns, limits, progress, memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from postmeter.query.exports import jobs, service
from postmeter.query.exports.failures import TooManyExports
from postmeter.query.exports.jobs import Job
from postmeter.query.exports.order import Order
from tests.integration.export_service import DAY, NAME, Api, exporting, fill, message, noon
from tests.integration.export_workers import (
    ROWS,
    counted,
    in_the_middle,
    is_whole,
    query_service,
    working,
)
from tests.product import PATIENCE
from tests.waiting import until

ORDER = Order(
    type="messages", format="csv", workspace=NAME, start=noon(), end=noon(), period="custom", campaign_ids=[],
    include_time_series=False, domains=None,
)  # fmt: skip


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """Takes orders; whoever works on them is the test's."""
    async with exporting(postgres_dsn, redis_url, tmp_path, work=False, export_lease=30) as made:
        yield made


async def test_every_export_is_made_once_by_one_of_several_workers(api: Api) -> None:
    await message(api.here, api.workspace)
    ids = [await api.order(export_type="messages") for _ in range(12)]
    async with working(api) as first, working(api) as second:
        for export_id in ids:
            assert (await api.ended(export_id))[0] == 200
    rows = await api.here.pool.fetch("SELECT id, attempt, file FROM export")
    assert {row["id"]: (row["attempt"], row["file"]) for row in rows} == {i: (1, f"{i}.1.csv") for i in ids}
    assert counted(first, "completed") + counted(second, "completed") == 12
    assert api.files() == sorted(f"{i}.1.csv" for i in ids)


async def test_workers_are_shared_among_workspaces(api: Api) -> None:
    first, second, third = api.workspace, await api.here.workspace("ws_2"), await api.here.workspace("ws_3")
    table = api.made.worker.jobs

    async def order(*workspaces: int) -> None:
        for workspace in workspaces:
            await table.order(workspace, ORDER, 1.0)

    async def taken() -> list[Job]:
        found = []
        while (job := await table.take()) is not None:
            found.append(job)
        return found

    await order(first, first, first, second, third)
    jobs_of = {job.workspace: job for job in await taken()}
    assert list(jobs_of) == [first, second, third], "one each, however many workers are idle"
    for job in jobs_of.values():
        await table.complete(job, "file", 1)

    # Whoever was not served for longest is next, not whoever ordered most, or first.
    await order(second)
    assert [job.workspace for job in await taken()] == [first, second]
    await api.here.pool.execute("DELETE FROM export")
    await order(first, first, second)
    begun = await table.take()
    assert begun is not None
    assert begun.workspace == first
    await table.complete(begun, "file", 1)
    assert [job.workspace for job in await taken()] == [second, first]


async def test_two_that_take_at_once_never_get_one_workspace_s_jobs(api: Api) -> None:
    table = api.made.worker.jobs
    for _ in range(10):
        for _ in range(4):
            await table.order(api.workspace, ORDER, 1.0)
        found = await asyncio.gather(*(table.take() for _ in range(4)))
        assert len([job for job in found if job is not None]) == 1
        await api.here.pool.execute("DELETE FROM export")


async def test_an_attempt_that_lost_its_lease_changes_nothing_while_another_is_at_work(api: Api) -> None:
    table = api.made.worker.jobs
    await table.order(api.workspace, ORDER, 1.0)
    old = await table.take()
    await api.here.pool.execute("UPDATE export SET lease_until = now()")
    new = await table.take()
    assert old is not None
    assert new is not None
    assert (old.attempt, new.attempt) == (1, 2)
    assert not await table.renew(old, 50)
    assert not await table.complete(old, "old", 1)
    assert not await table.fail(old, "old")
    await table.put_off(old, "old", 0.0)
    await table.give_back(old)
    assert await table.renew(new, 50)
    assert await table.complete(new, "new", 1)


async def test_a_workspace_never_holds_more_than_one_worker(api: Api) -> None:
    await fill(api.here, api.workspace, ROWS, noon())
    ids = [await api.order(export_type="messages") for _ in range(3)]
    other = replace(api, workspace=await api.here.workspace("ws_2"), name="ws_2")
    await message(api.here, other.workspace)
    held = "SELECT count(*) FROM export WHERE workspace = $1 AND status = 'processing' AND lease_until > now()"
    most = 0

    async def over() -> bool:
        nonlocal most
        most = max(most, await api.here.pool.fetchval(held, api.workspace))
        return bool((await api.row(ids[0]))["status"] == "completed")

    async with working(api), working(api):
        await in_the_middle(api, ids[0])
        theirs = await other.order(export_type="messages")
        assert (await other.ended(theirs))[0] == 200
        assert (await api.row(ids[-1]))["status"] == "processing"
        await until(over)
    assert most == 1


async def test_orders_at_once_pass_no_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_OPEN", 2)
    pools = [await service.connect(api.settings) for _ in range(4)]
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def all_wait() -> bool:
        return bool(await api.here.pool.fetchval(waiting) == len(pools))

    async with api.here.pool.acquire() as connection, connection.transaction():
        # All of them begin, none can insert yet.
        await connection.execute("LOCK TABLE export IN EXCLUSIVE MODE")
        orders = [asyncio.create_task(jobs.Jobs(pool, 1.5, 60.0).order(api.workspace, ORDER, 1.0)) for pool in pools]
        await until(all_wait)
    results = await asyncio.gather(*orders, return_exceptions=True)
    assert len([result for result in results if isinstance(result, TooManyExports)]) == 2
    assert await api.here.pool.fetchval("SELECT count(*) FROM export") == 2
    for pool in pools:
        await pool.close()


async def test_an_export_is_what_the_database_held_at_one_moment(api: Api) -> None:
    await fill(api.here, api.workspace, ROWS, noon())
    export_id = await api.order(export_type="messages")
    async with working(api):
        await in_the_middle(api, export_id)
        changed = await api.here.pool.execute(
            "UPDATE message SET subject = 'changed' WHERE created_at >= $1",
            noon() + ROWS * DAY / 86_400_000 - DAY / 86400,
        )
        await message(api.here, api.workspace, at=noon(0) - DAY / 24, subject="new")
        assert (await api.row(export_id))["status"] == "processing"
        assert changed != "UPDATE 0"
        await is_whole(api, export_id, ROWS, attempt=1)
        url = (await api.status(export_id))[1]["data"]["download_url"]
        file = await api.download(url)
    assert b"changed" not in file
    assert b"new," not in file


async def test_the_progress_rises_while_an_export_is_made(api: Api) -> None:
    for day in range(1, 6):
        await fill(api.here, api.workspace, ROWS // 5, noon(day))
    export_id = await api.order(export_type="messages")
    seen: list[int] = []

    async def over() -> bool:
        data = (await api.status(export_id))[1]["data"]
        seen.append(data["progress"])
        return bool(data["status"] == "completed")

    async with working(api, export_lease=2):  # it tells its progress four times a lease
        await until(over)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert (seen[0], seen[-1]) == (0, 100)


async def test_memory_does_not_grow_with_an_export(api: Api, postgres_dsn: str, redis_url: str) -> None:
    await fill(api.here, api.workspace, 120_000, noon(), campaign="large")
    await fill(api.here, api.workspace, 10_000, noon(2), campaign="small")
    with query_service(postgres_dsn, redis_url, Path(api.settings.export_dir), PATIENCE) as made:
        for name in ("csv", "parquet"):
            small = await api.completed(export_type="messages", format=name, campaign_ids=["small"])
            before = made.peak()
            large = await api.completed(export_type="messages", format=name, campaign_ids=["large"])
            assert large["file_size_bytes"] > 8 * small["file_size_bytes"]
            # The rows of the large one take more than a hundred MB as Python objects.
            assert made.peak() - before < 32 << 20
