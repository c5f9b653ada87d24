"""Exports whose workers are killed, paused, cut off or stopped: made once, and whole; and what is left is removed."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from postmeter.aggregator.fold import moments
from postmeter.aggregator.metrics import ErasureMetrics
from postmeter.aggregator.store.memory import Memory
from postmeter.aggregator.upkeep.erasure.job import Erasures
from postmeter.aggregator.upkeep.erasure.step import Step
from postmeter.query.exports import failures, jobs
from postmeter.query.exports.files import formats
from postmeter.query.exports.files.columns import Table
from postmeter.query.exports.files.formats import FORMATS, Format, Writer
from postmeter.query.exports.files.text_files import CsvFile
from postmeter.shared.storage import postgres
from tests.aggregation import bench
from tests.integration.export_service import DAY, Api, exporting, fill, message, noon
from tests.integration.export_workers import (
    ROWS,
    counted,
    in_the_middle,
    is_whole,
    query_service,
    working,
)
from tests.markers import Markers
from tests.waiting import until

ADA, MARKER = "ada0" * 16, "Dear Ada Markerlovelace"
MARKERS = Markers(ADA, MARKER)


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """Takes orders; whoever works on them is the test's."""
    async with exporting(postgres_dsn, redis_url, tmp_path, work=False, export_lease=30) as made:
        yield made


@asynccontextmanager
async def erasing(dsn: str, redis_url: str) -> AsyncIterator[Callable[[], Awaitable[Step | None]]]:
    """An aggregator's work on the one erasure that there is; it returns the step that waits, None: all is done."""
    async with bench(dsn, redis_url) as at:
        pool = await postgres.connect(at.settings, "eraser", 60, moments.prepare, moments.PLANS)
        jobs_of = Erasures(pool, at.client, Memory(100), ErasureMetrics(CollectorRegistry()))

        async def work() -> Step | None:
            while await jobs_of._round():
                pass
            step = await at.value("SELECT step FROM erasure WHERE completed_at IS NULL")
            return None if step is None else Step(step)

        yield work
        await pool.close()


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


@pytest.mark.parametrize(("dies", "ago"), [(False, 0), (True, 0), (True, 60)])
async def test_an_export_of_somebody_who_is_erased_meanwhile_begins_anew(
    api: Api, postgres_dsn: str, redis_url: str, dies: bool, ago: int
) -> None:
    """Whether its worker lives or not: once that is done he is neither in the file nor in what was half written.

    Also where the erasure was ordered before the export, but had not come to the messages yet.
    """
    await message(api.here, api.workspace, at=noon() - DAY / 4, to_hash=ADA, subject=MARKER)
    await fill(api.here, api.workspace, ROWS, noon())
    folder = Path(api.settings.export_dir)
    async with erasing(postgres_dsn, redis_url) as work:
        with query_service(postgres_dsn, redis_url, folder) as first:
            export_id = await api.order(export_type="messages")
            await in_the_middle(api, export_id)
            first.process.send_signal(signal.SIGKILL if dies else signal.SIGSTOP)
            if dies:
                first.process.wait()
            assert MARKERS.in_files(folder)
            await api.here.pool.execute(
                "INSERT INTO erasure (workspace, id, to_hash, requested_by, requested_at)"
                " VALUES ($1, gen_random_uuid(), $2, 'key:1', now() - $3::int * interval '1 s')",
                api.workspace,
                ADA,
                ago,
            )
            assert await work() == Step.REST, "not done while what was written is there"
            if not dies:
                first.process.send_signal(signal.SIGCONT)
                await until(lambda: first.counted(api.session, "lost"))
        with query_service(postgres_dsn, redis_url, folder):
            await is_whole(api, export_id, ROWS + 1, attempt=2)
        assert MARKERS.in_files(folder) == []
        assert await work() is None


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


async def test_an_export_that_loses_its_database_is_tried_again(api: Api) -> None:
    await fill(api.here, api.workspace, ROWS, noon())
    export_id = await api.order(export_type="messages")
    async with working(api, retry_seconds=0.01) as registry:
        await in_the_middle(api, export_id)
        await api.here.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'postmeter-exports' AND xact_start IS NOT NULL AND datname = current_database()"
        )
        await is_whole(api, export_id, ROWS, attempt=2)
        assert counted(registry, "completed") == 1


async def test_a_full_disk_is_tried_three_times_and_then_said(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Format("csv", "text/csv", lambda _, table: CsvFile(Path("/dev/full"), table))
    monkeypatch.setitem(formats.FORMATS, "csv", full)
    await message(api.here, api.workspace)
    async with working(api, retry_seconds=0.01) as registry:
        reason = await api.failed(export_type="messages")
    assert reason == "the disk for exports is full; order it again later, or a smaller one"
    assert (counted(registry, "retried"), counted(registry, "failed")) == (2, 1)
    assert api.files() == []


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_knows_a_full_disk(name: str, tmp_path: Path) -> None:
    from postmeter.query.exports.files.columns import Column

    path = tmp_path / "export"
    path.symlink_to("/dev/full")

    def write() -> None:
        writer = FORMATS[name].open(path, (Column("text"),))
        writer.write([("x",)])
        writer.close()

    with pytest.raises(OSError) as caught:  # noqa: PT011
        write()
    assert failures.reason(caught.value).startswith("the disk for exports is full")
    del caught
    gc.collect()  # here, and not in a test that comes later, what is left of a file is let go


def broken(_: Path, __: Table) -> Writer:
    raise ZeroDivisionError


async def test_a_broken_export_says_where_to_look(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formats.FORMATS, "csv", Format("csv", "text/csv", broken))
    await message(api.here, api.workspace)
    async with working(api, retry_seconds=0.01):
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


async def test_files_are_removed_when_their_time_is_over(api: Api) -> None:
    await message(api.here, api.workspace)
    async with working(api, sweep_seconds=0.05):
        kept = await api.completed(export_type="messages")
    async with working(api, sweep_seconds=0.05, export_lifetime=0.2):
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
