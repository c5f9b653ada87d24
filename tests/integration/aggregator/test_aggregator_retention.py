"""Retention: partitions ahead are made, old ones go, and so do leftovers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import asyncpg
import pytest

from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.upkeep import retention
from postmeter.shared.storage import partitions
from tests.aggregation import Bench, bench, hit, registration


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


async def tables(connection: "asyncpg.Connection[asyncpg.Record]", of: str) -> list[str]:
    rows = await connection.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::text::regclass ORDER BY 1", of
    )
    return [row["name"] for row in rows]


def kept(settings: AggregatorSettings, months: int) -> AggregatorSettings:
    return replace(settings, retain_events=months, retain_messages=months, retain_quarter_hours=months)


async def test_old_partitions_are_dropped_and_new_ones_made(at: Bench) -> None:
    today = datetime.now(UTC).date()
    later = partitions.add_months(today, 3)
    dropped = await retention.once(at.db, kept(at.settings, 2), later)
    expected = [f"event_{partitions.add_months(later, n):%Y%m}" for n in range(-2, 3)]
    assert await tables(at.db, "event") == expected
    assert "event_default" not in dropped
    assert "message_default" in await tables(at.db, "message")
    assert len(await tables(at.db, "activity_1d")) > 24
    days = await tables(at.db, "dedup")
    assert len(days) == partitions.DEDUP_DAYS + partitions.DAYS_AHEAD + 1
    assert await retention.once(at.db, kept(at.settings, 2), later) == []


async def test_one_aggregator_at_a_time_does_it(at: Bench) -> None:
    other = await asyncpg.connect(at.dsn)
    await other.execute("SELECT pg_advisory_lock($1)", retention.LOCK)
    assert await retention.once(at.db, kept(at.settings, 2), date(2030, 1, 1)) == []
    await other.close()


async def test_a_clock_that_is_ahead_drops_nothing(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls(2090, 1, 1, tzinfo=tz)

    monkeypatch.setattr(retention, "datetime", Ahead)
    assert await retention._today(at.db) <= datetime.now(UTC).date()


async def test_leftovers_are_forgotten(at: Bench) -> None:
    for age in (1, 40):
        when = f"now() - interval '{age} days'"
        await at.db.execute(f"INSERT INTO waiting (workspace, since, record) VALUES (1, {when}, '')")
        await at.db.execute(
            f"INSERT INTO dead_letter (shard, batch, at, reason, record) VALUES (0, '', {when}, '', '')"
        )
    today = datetime.now(UTC).date()
    # The server's clock may be ahead of today as the aggregator knows it: that drops nothing either.
    for day, left in ((today - timedelta(days=20), 2), (today, 1)):
        await retention.once(at.db, at.settings, day)
        for table in ("waiting", "dead_letter"):
            assert await at.value(f"SELECT count(*) FROM {table}") == left


async def test_subjects_are_forgotten_with_the_last_messages_that_had_them(at: Bench) -> None:
    today = datetime.now(UTC).date()
    for months, subject in ((3, "gone"), (2, "kept"), (0, "kept too")):
        month = datetime.combine(partitions.add_months(today, -months), time(), UTC)
        await at.db.execute("INSERT INTO subject (workspace, subject, until) VALUES (1, $1, $2)", subject, month)
    await at.db.execute("INSERT INTO subject (workspace, subject, until) VALUES (1, 'for ever', 'infinity')")
    await retention.once(at.db, kept(at.settings, 2), today)
    held = [row["subject"] for row in await at.db.fetch("SELECT subject FROM subject ORDER BY subject")]
    assert held == ["for ever", "kept", "kept too"]


async def test_events_older_than_the_history_still_count(at: Bench) -> None:
    """The quarter-hours and the history of that time are gone; the days are not."""
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    settings = kept(at.settings, 2)
    await retention.once(at.db, settings, datetime.now(UTC).date())
    await at.streams.append(0, registration(1), hit(1, now - 300 * 86400 * 1_000_000), hit(1, now))
    async with at.aggregator(retain_events=2, retain_messages=2, retain_quarter_hours=2):
        await at.counted()
    assert await at.total("activity_1d") == {"human_opens": 2, "unique_opens": 1}
    assert await at.total("activity_15m") == {"human_opens": 1}
    assert await at.value("SELECT count(*) FROM event") == 1


async def test_a_missing_partition_is_made_when_it_is_needed(at: Bench) -> None:
    month = datetime.now(UTC).strftime("%Y%m")
    await at.streams.append(0, registration(1), hit(1, int(datetime.now(UTC).timestamp() * 1_000_000)))
    async with at.aggregator(shards=1) as _:
        await at.counted()
        await at.db.execute(f"DROP TABLE activity_1h_{month}, event_{month}")
        await at.streams.append(0, hit(1, int(datetime.now(UTC).timestamp() * 1_000_000)))
        await at.counted()
    assert await at.total("activity_15m") == {"human_opens": 2, "unique_opens": 1}
    assert await at.value("SELECT count(*) FROM dead_letter") == 0
