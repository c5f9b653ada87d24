"""Exports whose workers are killed, paused, cut off or stopped: made once, and whole."""

import asyncio
import csv
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from postmeter.query.answers import system_clock
from postmeter.query.exports import failures, formats, jobs, service, worker
from postmeter.query.exports.csv_file import CsvFile
from postmeter.query.exports.formats import FORMATS, Format
from postmeter.query.exports.jobs import Job
from postmeter.query.exports.order import Order
from postmeter.shared import metrics
from postmeter.shared.errors import RequestError
from tests.integration.export_world import DAY, NAME, Api, exporting, fill, message, noon, until
from tests.integration.query_world import INTERNAL
from tests.product import free_port

ROWS = 50_000
ORDER = Order(
    type="messages", format="csv", workspace=NAME, start=noon(), end=noon(), period="custom", campaign_ids=[],
    include_time_series=False, domains=None,
)  # fmt: skip


@dataclass
class Service:
    """A query-service that is a process of its own."""

    process: "subprocess.Popen[bytes]"
    ops_port: int

    async def counted(self, session: aiohttp.ClientSession, result: str) -> bool:
        """Whether it has counted such an attempt."""
        async with session.get(f"http://127.0.0.1:{self.ops_port}/metrics") as answer:
            return f'postmeter_exports_total{{result="{result}"}} 1.0' in await answer.text()

    def peak(self) -> int:
        """Bytes of memory that it has held at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10


@contextmanager
def query_service(dsn: str, redis_url: str, folder: Path) -> Iterator[Service]:
    ops_port = free_port()
    own = {
        "POSTGRES_DSN": dsn,
        "REDIS_URL": redis_url,
        "INTERNAL_SECRET": INTERNAL.reveal(),
        "PORT": str(free_port()),
        "OPS_PORT": str(ops_port),
        "PUBLIC_GATEWAY_URL": "https://gateway.example",
        "EXPORT_DIR": str(folder),
        "EXPORT_LEASE": "1.5",
        "LOG_LEVEL": "error",
    }
    environ = {**os.environ, **{f"POSTMETER_{name}": value for name, value in own.items()}}
    process = subprocess.Popen([sys.executable, "-m", "postmeter.cli.main", "run", "query"], env=environ)
    try:
        yield Service(process, ops_port)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """Takes orders; whoever works on them is the test's."""
    async with exporting(postgres_dsn, redis_url, tmp_path, work=False, export_lease=1.5) as made:
        yield made


@asynccontextmanager
async def working(api: Api, **given: Any) -> AsyncIterator[CollectorRegistry]:
    """A worker like another replica's, with a pool of its own. The registry has what it counts."""
    registry, stop = CollectorRegistry(), asyncio.Event()
    settings = replace(api.settings, **given)
    pool = await service.connect(settings)
    made = service.build(settings, pool, system_clock, metrics.ExportMetrics(registry))
    task = asyncio.create_task(made.worker.run(stop))
    try:
        yield registry
    finally:
        stop.set()
        await task
        await pool.close()


def counted(registry: CollectorRegistry, result: str) -> float:
    return registry.get_sample_value("postmeter_exports_total", {"result": result}) or 0.0


async def in_the_middle(api: Api, export_id: str) -> None:
    """Returns when rows of an export have been written and others have not."""

    async def begun() -> bool:
        return is_written(Path(api.settings.export_dir))

    await until(begun)
    assert (await api.row(export_id))["status"] == "processing"


def is_written(folder: Path) -> bool:
    return any(file.stat().st_size for file in folder.glob("work/*/export.*") if file.exists())


async def is_whole(api: Api, export_id: str, rows: int, attempt: int) -> None:
    """The export has every message once, it was completed by this attempt, and nothing else is left."""
    status, answer = await api.ended(export_id)
    assert status == 200, answer
    file = await api.download(answer["data"]["download_url"])
    assert len(file) == answer["data"]["file_size_bytes"]
    messages = [row["message_id"] for row in csv.DictReader(io.StringIO(file.decode(), newline=""))]
    assert (len(messages), len(set(messages))) == (rows, rows)
    row = await api.row(export_id)
    assert (row["attempt"], row["file"]) == (attempt, f"{export_id}.{attempt}.csv")

    async def swept() -> bool:
        return api.files() == [row["file"]]

    await until(swept)


async def test_a_killed_worker_s_export_is_made_by_another(api: Api, postgres_dsn: str, redis_url: str) -> None:
    await fill(api.here, api.workspace, ROWS, noon())
    folder = Path(api.settings.export_dir)
    with query_service(postgres_dsn, redis_url, folder) as first:
        export_id = await api.order(export_type="messages")
        await in_the_middle(api, export_id)
        first.process.kill()
        first.process.wait()
    assert (await api.status(export_id))[1]["data"]["download_url"] is None
    with query_service(postgres_dsn, redis_url, folder):
        await is_whole(api, export_id, ROWS, attempt=2)
        assert await api.here.pool.fetchval("SELECT count(*) FROM export") == 1


async def test_a_worker_that_slept_through_its_lease_completes_nothing(
    api: Api, postgres_dsn: str, redis_url: str
) -> None:
    await fill(api.here, api.workspace, ROWS, noon())
    folder = Path(api.settings.export_dir)
    with query_service(postgres_dsn, redis_url, folder) as sleeper:
        export_id = await api.order(export_type="messages")
        await in_the_middle(api, export_id)
        sleeper.process.send_signal(signal.SIGSTOP)
        async with working(api):
            await api.ended(export_id)
        row = await api.row(export_id)
        sleeper.process.send_signal(signal.SIGCONT)
        await until(lambda: sleeper.counted(api.session, "lost"))
        assert await api.row(export_id) == row
        await is_whole(api, export_id, ROWS, attempt=2)


async def test_a_lost_attempt_that_was_ready_takes_its_file_away_again(api: Api) -> None:
    await message(api.here, api.workspace)
    export_id = await api.order(export_type="messages")
    late = await api.made.worker.jobs.take()
    assert late is not None
    await api.here.pool.execute("UPDATE export SET lease_until = now()")
    assert not await api.made.worker.jobs.renew(late, 50)
    async with working(api):
        await api.ended(export_id)
    assert not await api.made.worker.jobs.complete(late, "mine", 1)
    assert not await api.made.worker.jobs.fail(late, "mine")
    await api.made.worker._hold(late, asyncio.Event())
    assert await api.counted("lost") == 1
    await is_whole(api, export_id, 1, attempt=2)


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
        await until(all_wait, 20)
    results = await asyncio.gather(*orders, return_exceptions=True)
    assert len([result for result in results if isinstance(result, RequestError) and result.status == 429]) == 2
    assert await api.here.pool.fetchval("SELECT count(*) FROM export") == 2
    for pool in pools:
        await pool.close()


async def test_a_stopped_worker_gives_its_export_back_and_nothing_counts_against_it(api: Api) -> None:
    await fill(api.here, api.workspace, ROWS, noon())
    export_id = await api.order(export_type="messages")
    for stops in range(1, jobs.MAX_TRIES + 1):
        async with working(api) as registry:
            await in_the_middle(api, export_id)
        assert counted(registry, "given_back") == 1
        row = await api.row(export_id)
        assert (row["attempt"], row["given_back"], row["lease_until"]) == (stops, stops, None)
        assert api.files() == []
    async with working(api):
        await is_whole(api, export_id, ROWS, attempt=jobs.MAX_TRIES + 1)


async def test_an_export_that_loses_its_database_is_tried_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.01)
    await fill(api.here, api.workspace, ROWS, noon())
    export_id = await api.order(export_type="messages")
    async with working(api) as registry:
        await in_the_middle(api, export_id)
        await api.here.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'postmeter-exports' AND xact_start IS NOT NULL AND datname = current_database()"
        )
        await is_whole(api, export_id, ROWS, attempt=2)
        assert counted(registry, "completed") == 1


async def test_a_full_disk_is_tried_three_times_and_then_said(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.01)
    full = Format("csv", "text/csv", lambda _, table: CsvFile(Path("/dev/full"), table))
    monkeypatch.setitem(formats.FORMATS, "csv", full)
    await message(api.here, api.workspace)
    async with working(api) as registry:
        reason = await api.failed(export_type="messages")
    assert reason == "the disk for exports is full; order it again later, or a smaller one"
    assert (counted(registry, "retried"), counted(registry, "failed")) == (2, 1)
    assert api.files() == []


@pytest.mark.filterwarnings("ignore:Exception ignored in. <function ZipFile.__del__")
@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_knows_a_full_disk(name: str, tmp_path: Path) -> None:
    from postmeter.query.exports.columns import Column

    path = tmp_path / "export"
    path.symlink_to("/dev/full")

    def write() -> None:
        writer = FORMATS[name].open(path, (Column("text"),))
        writer.write([("x",)])
        writer.close()

    with pytest.raises(OSError) as caught:  # noqa: PT011
        write()
    assert failures.reason(caught.value).startswith("the disk for exports is full")


async def test_a_broken_export_says_where_to_look(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.01)
    monkeypatch.setitem(formats.FORMATS, "csv", Format("csv", "text/csv", lambda *_: 1 / 0))  # type: ignore[arg-type]
    await message(api.here, api.workspace)
    async with working(api):
        assert await api.failed(export_type="messages") == (
            "an internal error, which the server's log has under the export's id"
        )


async def test_an_export_that_kills_every_worker_is_given_up(api: Api) -> None:
    await message(api.here, api.workspace)
    export_id = await api.order(export_type="messages")
    table = api.made.worker.jobs
    for attempt in range(1, jobs.MAX_TRIES + 1):
        job = await table.take()
        assert job is not None
        assert (job.attempt, job.last) == (attempt, attempt == jobs.MAX_TRIES)
        await api.made.worker.sweep()
        assert (await api.status(export_id))[0] == 200
        await api.here.pool.execute("UPDATE export SET lease_until = now()")
    assert await table.take() is None
    await api.made.worker.sweep()
    status, answer = await api.status(export_id)
    assert (status, answer["error"]["message"]) == (422, f"Failed to generate export: {failures.DIED}")


async def test_what_dead_attempts_left_is_removed(api: Api) -> None:
    await message(api.here, api.workspace)
    export_id = await api.order(export_type="messages")
    assert await api.made.worker.jobs.take() is not None
    await api.here.pool.execute("UPDATE export SET lease_until = now()")
    folder = Path(api.settings.export_dir)
    (folder / f"{export_id}.1.csv").write_text("published, never completed")
    (folder / "work" / "dead").mkdir(parents=True)
    (folder / "work" / "dead" / "export.csv").write_text("half")
    async with working(api):
        await is_whole(api, export_id, 1, attempt=2)


async def test_files_are_removed_when_their_time_is_over(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SWEEP_SECONDS", 0.05)
    await message(api.here, api.workspace)
    async with working(api):
        kept = await api.completed(export_type="messages")
    async with working(api, export_lifetime=0.2):
        export_id = await api.order(export_type="messages")
        await until(lambda: _gone(api, export_id))
    status, answer = await api.status(export_id)
    assert status == 200
    data = answer["data"]
    assert (data["status"], data["download_url"], data["format"]) == ("expired", None, "csv")
    assert data["file_size_bytes"] == kept["file_size_bytes"]
    assert api.files() == [f"{kept['export_id']}.1.csv"]
    await api.download(kept["download_url"])


async def _gone(api: Api, export_id: str) -> bool:
    return (await api.row(export_id))["removed_at"] is not None


async def test_a_link_ends_with_its_export_even_before_the_file_is_removed(api: Api) -> None:
    await message(api.here, api.workspace)
    async with working(api):
        done = await api.completed(export_type="messages")
    await api.here.pool.execute("UPDATE export SET expires_at = now()")
    link = done["download_url"].replace("https://gateway.example", api.url)
    async with api.session.get(link) as answer:
        over = answer.status, await answer.text()
    assert over[0] == 410
    assert '"success":false,"error":{"code":"LINK_EXPIRED"' in over[1]
    data = (await api.status(done["export_id"]))[1]["data"]
    assert (data["status"], data["download_url"]) == ("expired", None)
    assert api.files() != []
    await api.made.worker.sweep()
    assert api.files() == []
    await api.here.pool.execute("DELETE FROM export")
    async with api.session.get(link) as answer:
        assert (answer.status, await answer.text()) == over


async def test_old_rows_are_forgotten(api: Api) -> None:
    export_id = await api.order(export_type="messages")
    async with working(api):
        await api.ended(export_id)
    await api.here.pool.execute("UPDATE export SET expires_at = now()")
    await api.made.worker.sweep()
    assert (await api.status(export_id))[0] == 422
    await api.here.pool.execute("UPDATE export SET removed_at = removed_at - $1::interval", 31 * DAY)
    await api.made.worker.sweep()
    assert (await api.status(export_id))[0] == 404


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

    async with working(api, export_lease=0.5):
        await until(over)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert (seen[0], seen[-1]) == (0, 100)


async def test_memory_does_not_grow_with_an_export(api: Api, postgres_dsn: str, redis_url: str) -> None:
    await fill(api.here, api.workspace, 300_000, noon(), campaign="large")
    await fill(api.here, api.workspace, 25_000, noon(2), campaign="small")
    with query_service(postgres_dsn, redis_url, Path(api.settings.export_dir)) as made:
        for name in ("csv", "parquet"):
            small = await api.completed(export_type="messages", format=name, campaign_ids=["small"])
            before = made.peak()
            large = await api.completed(export_type="messages", format=name, campaign_ids=["large"])
            assert large["file_size_bytes"] > 8 * small["file_size_bytes"]
            # The rows of the large one take several hundred MB as Python objects.
            assert made.peak() - before < 48 << 20
