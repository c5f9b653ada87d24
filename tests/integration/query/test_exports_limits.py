"""What bounds an export: rows, bytes, the disk, time, windows; and campaigns for which nothing was counted."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from postmeter.query.exports.rows import sizes
from postmeter.shared.apis.documents.exports import EXPORT_TYPES
from tests.integration.export_service import DAY, Api, exporting, fill, message, noon
from tests.integration.running_query import Fact
from tests.waiting import until

TOMORROW = (datetime.now(UTC) + DAY).date()
TEN_YEARS = {
    "time_range": "custom",
    "start_date": (TOMORROW - 3651 * DAY).isoformat(),
    "end_date": TOMORROW.isoformat(),
}
SERIES = {"export_type": "campaign_performance", "include_time_series": True}


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with exporting(postgres_dsn, redis_url, tmp_path) as made:
        yield made


async def idle(api: Api, count: int) -> None:
    """So many campaigns without any mail."""
    await api.here.pool.execute(
        "INSERT INTO campaign (workspace, id, name) SELECT $1, 'idle-' || n, 'Idle ' || n"
        " FROM generate_series(1, $2::int) n",
        api.workspace,
        count,
    )


async def refused(api: Api, **body: Any) -> tuple[str, str]:
    """Code and message of an order that is refused with 400, and of which nothing is kept."""
    before = await api.here.pool.fetchval("SELECT count(*) FROM export")
    status, answer = await api.ask("POST", "/export", body)
    assert status == 400, answer
    assert await api.here.pool.fetchval("SELECT count(*) FROM export") == before
    return answer["error"]["code"], answer["error"]["message"]


async def test_thousands_of_campaigns_without_mail_cost_next_to_nothing(api: Api) -> None:
    await idle(api, 2_000)
    assert await api.failed(**SERIES, **TEN_YEARS) == "insufficient data"
    assert api.files() == []
    await message(api.here, api.workspace, campaign="spring", at=noon(3))
    rows = await api.rows(**SERIES, time_range="30d")
    assert len([row for row in rows if row["row"] == "summary"]) == 2_001
    assert {row["campaign_id"] for row in rows if row["row"] == "day"} == {"spring"}
    assert len(rows) == 2_001 + 31
    (none,) = (row for row in rows if row["campaign_id"] == "idle-7")
    assert (none["campaign_name"], none["emails_sent"], none["open_rate"]) == ("Idle 7", "0", "0")


async def test_an_idle_campaign_s_row_is_the_one_its_report_would_give(api: Api) -> None:
    await message(api.here, api.workspace, campaign="spring")
    await idle(api, 1)
    _, report = await api.ask("GET", "/../campaigns/idle-1/analytics")
    content = await api.file(export_type="campaign_performance", format="json")
    row = next(json.loads(line) for line in content.splitlines() if b"idle-1" in line)
    numbers = report["data"]["summary"] | report["data"]["rates"]
    assert {name: row[name] for name in numbers} == numbers
    assert row["campaign_name"] == report["data"]["campaign_name"]


async def test_too_many_rows_of_a_report_are_refused_at_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"c{number}" for number in range(300)]
    for export_type in ("deliverability", "campaign_performance"):
        body = {"export_type": export_type, "include_time_series": True, "campaign_ids": ids, **TEN_YEARS}
        for campaign in ids[:274] if export_type == "campaign_performance" else []:
            await api.here.add(api.workspace, Fact(noon(), campaign, counters={"sent": 1}))
        code, words = await refused(api, **body)
        assert code == "EXPORT_TOO_LARGE"
        assert f"{export_type} may have 1000000; choose a shorter time range or fewer campaigns" in words
    assert words.endswith("or leave include_time_series out")
    # Only campaigns that count have days, so many others are not a reason to refuse.
    monkeypatch.setattr(sizes, "MAX_REPORT_ROWS", 300 + 3 * 31)
    for number in (1, 2, 3):
        await message(api.here, api.workspace, campaign=f"spring-{number}")
    await api.here.pool.execute("DELETE FROM campaign WHERE id NOT LIKE 'spring%'")
    await idle(api, 297)
    await _forget(api, "c")
    assert len(await api.rows(**SERIES)) == 300 + 3 * 31
    await message(api.here, api.workspace, campaign="idle-9")
    assert (await refused(api, **SERIES))[0] == "EXPORT_TOO_LARGE"
    assert len(await api.rows(export_type="campaign_performance")) == 300


async def _forget(api: Api, prefix: str) -> None:
    await api.here.pool.execute(
        "DELETE FROM activity_15m WHERE series IN (SELECT id FROM series WHERE campaign ~ $1)", f"^{prefix}[0-9]"
    )


async def test_too_much_history_is_refused_or_broken_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.here.add(api.workspace, Fact(noon(), "a", counters={"sent": 50_000_100}))
    for export_type in ("messages", "events"):
        code, words = await refused(api, export_type=export_type)
        assert (code, "messages" in words or "events" in words) == ("EXPORT_TOO_LARGE", True)
        assert "shorter time range" in words
    for table in ("activity_15m", "activity_1h", "activity_1d"):
        await api.here.pool.execute(f"DELETE FROM {table}")
    # What the counts do not know is found while it is written.
    monkeypatch.setattr(sizes, "MAX_HISTORY_ROWS", 3)
    for number in range(4):
        await message(api.here, api.workspace, at=noon(number + 1))
    for table in ("activity_15m", "activity_1h", "activity_1d"):
        await api.here.pool.execute(f"DELETE FROM {table}")
    reason = await api.failed(export_type="messages")
    assert reason == (
        "it would have more rows, and messages may have 3; choose a shorter time range or fewer campaigns"
    )
    assert api.files() == []
    assert await api.counted("retried") == 0


@pytest.mark.parametrize("name", ["csv", "json", "xlsx", "parquet"])
async def test_a_file_that_grows_too_large_is_given_up(
    postgres_dsn: str, redis_url: str, tmp_path: Path, name: str
) -> None:
    async with exporting(postgres_dsn, redis_url, tmp_path, export_file_bytes=50_000) as api:
        await fill(api.here, api.workspace, 20_000, noon())
        reason = await api.failed(export_type="messages", format=name)
        assert reason == ("its file would have more than 50000 bytes; choose a shorter time range or fewer campaigns")
        assert api.files() == []
        assert await api.counted("retried") == 0


async def test_a_workspace_s_files_are_bounded_together(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    async with exporting(postgres_dsn, redis_url, tmp_path, export_workspace_bytes=900) as api:
        await message(api.here, api.workspace)
        first = await api.completed(export_type="messages")
        assert 450 < first["file_size_bytes"] < 900
        reason = await api.failed(export_type="messages")
        assert reason.startswith("the workspace's exports would have more than 900 bytes together")
        await api.here.pool.execute("UPDATE export SET file_size_bytes = 900 WHERE status = 'completed'")
        reason = await api.failed(export_type="messages")
        assert reason.startswith("the workspace's exports have 900 bytes, and may have 900 together")
        other = Api(**{**api.__dict__, "workspace": await api.here.workspace("ws_2"), "name": "ws_2"})
        await message(api.here, other.workspace)
        await other.completed(export_type="messages")
        await api.here.pool.execute("UPDATE export SET expires_at = now()")
        await api.made.worker.sweep()
        await api.completed(export_type="messages")


async def test_the_disk_keeps_what_is_not_for_exports(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    async with exporting(postgres_dsn, redis_url, tmp_path, retry_seconds=0.01, export_free_bytes=2**60) as api:
        await message(api.here, api.workspace)
        reason = await api.failed(export_type="messages")
        assert reason == "the disk for exports is full; order it again later, or a smaller one"
        assert api.files() == []


async def test_an_attempt_ends_when_its_time_is_over(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    async with exporting(postgres_dsn, redis_url, tmp_path, export_seconds=0.2) as api:
        await message(api.here, api.workspace)
        connection = await asyncpg.connect(postgres_dsn)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
                reason = await api.failed(export_type="messages")
        finally:
            await connection.close()
        assert reason == "it took more than 0.2 seconds; choose a shorter time range or fewer campaigns"
        await until(lambda: api.is_counted("refused"))
        assert (await api.counted("refused"), await api.counted("retried")) == (1, 0)


async def test_a_heatmap_whose_hours_are_all_alike_is_exported(api: Api) -> None:
    first = noon(8).replace(hour=0)
    for hours in range(7 * 24):
        await api.here.pool.execute(
            "INSERT INTO cohort_sent_15m VALUES ($1, 0, $2, 10, 3, 0, 0)",
            api.workspace,
            first + timedelta(hours=hours),
        )
    _, report = await api.ask("GET", "/engagement-heatmap")
    assert report["data"]["optimal_send_time"] is None
    rows = await api.rows(export_type="engagement_heatmap")
    assert [row["row"] for row in rows] == ["cell"] * 28
    assert sum(int(row["emails_sent"]) for row in rows) == 7 * 24 * 10


def _days(count: int) -> dict[str, str]:
    """A window of so many whole days."""
    last = noon().date()
    return {"start_date": (last - (count - 1) * DAY).isoformat(), "end_date": last.isoformat()}


@pytest.mark.parametrize("export_type", EXPORT_TYPES)
async def test_an_order_that_was_taken_fails_for_no_window(api: Api, export_type: str) -> None:
    await message(api.here, api.workspace)
    for days in (833, 834, 3660):
        body = {"export_type": export_type, **_days(days)}
        if export_type == "engagement_heatmap" and days > 833:
            words = "start_date: an engagement_heatmap may span 833 days at most"
            assert await refused(api, **body) == ("INVALID_TIME_RANGE", words)
        elif export_type == "engagement_heatmap":
            assert await api.failed(**body) == "insufficient data"
        else:
            assert await api.rows(**body)
    code, _ = await refused(api, export_type=export_type, **_days(3661))
    assert code == "INVALID_TIME_RANGE"


async def test_the_estimate_counts_reports_rows_and_what_is_before(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    async with exporting(postgres_dsn, redis_url, tmp_path, work=False) as api:

        async def estimate(who: Api = api, **body: Any) -> float:
            _, answer = await who.ask("POST", "/export", body)
            left = datetime.fromisoformat(answer["data"]["estimated_completion"]) - datetime.now(UTC)
            return left.total_seconds()

        await idle(api, 2_000)
        small = await estimate(export_type="overview")
        await api.here.pool.execute("DELETE FROM export")
        reports = await estimate(export_type="campaign_performance")
        assert reports > small + 30
        again = await estimate(export_type="campaign_performance")
        assert again > reports + 30
        other = Api(**{**api.__dict__, "workspace": await api.here.workspace("ws_2"), "name": "ws_2"})
        theirs = await estimate(other, export_type="overview")
        assert small + 30 < theirs < again, "one of each other workspace's exports comes before, not all"


async def test_orders_wait_for_each_other_and_not_for_other_workspaces(api: Api) -> None:
    async with api.here.pool.acquire() as connection, connection.transaction():
        from postmeter.query.exports.jobs import ORDERING_LOCK

        await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", ORDERING_LOCK, api.workspace)
        waiting = asyncio.create_task(api.order(export_type="messages"))
        other = Api(**{**api.__dict__, "workspace": await api.here.workspace("ws_2"), "name": "ws_2"})
        await other.order(export_type="messages")
        assert not waiting.done()
    await waiting
