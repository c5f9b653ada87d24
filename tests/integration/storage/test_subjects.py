"""Subjects that a search reads instead of messages: noted with each message that is inserted, by whomever."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from postmeter.shared.storage import index_builds, migrate, partitions, uuid7
from tests.older_schema import migrate_up_to
from tests.product import PATIENCE


def now() -> datetime:
    return datetime.now(UTC)


def month() -> datetime:
    """The beginning of this one."""
    return now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


async def insert(
    connection: Any, *subjects: str, workspace: int = 1, created: datetime | None = None, named: Any = None
) -> None:
    """Messages in one statement, under a UUIDv7 of the time of their creation unless they are named."""
    created = created or now()
    milliseconds = int(created.timestamp() * 1000)
    ids = [named or uuid7.new(milliseconds + n) for n in range(len(subjects))]
    await connection.execute(
        "INSERT INTO message (workspace, id, series, campaign, from_address, to_hash, to_domain, subject, provider,"
        " provider_account, provider_message, template, tags, created_at)"
        " SELECT $1, id, 1, '', '', '', '', subject, '', '', '', '', '{}', $4 FROM unnest($2::uuid[], $3::text[])"
        " AS n (id, subject) ON CONFLICT DO NOTHING",
        *(workspace, ids, subjects, created),
    )


async def noted(connection: Any) -> dict[tuple[int, str], datetime | None]:
    """When subjects of workspaces were used last; None: they are kept for ever."""
    rows = await connection.fetch("SELECT workspace, subject, nullif(until, 'infinity') AS until FROM subject")
    return {(row["workspace"], row["subject"]): row["until"] for row in rows}


@pytest.fixture
async def db(postgres_dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres_dsn)
    yield connection
    await connection.close()


async def test_each_subject_of_a_workspace_is_noted_once(db: Any) -> None:
    await insert(db, "Hello", "Hello", "Bye")
    await insert(db, "Hello", created=month() - timedelta(days=360))
    await insert(db, "Hello", workspace=2)
    await insert(db, "Welcome", named=uuid.uuid4())
    assert await noted(db) == {(1, "Hello"): month(), (1, "Bye"): month(), (2, "Hello"): month(), (1, "Welcome"): None}


async def test_a_subject_that_is_used_again_in_a_later_month_is_kept_longer(db: Any) -> None:
    await insert(db, "Hello")
    await db.execute("UPDATE subject SET until = until - interval '3 months'")
    await insert(db, "Hello", created=now().replace(microsecond=1))
    assert await noted(db) == {(1, "Hello"): month()}


async def test_what_is_not_committed_is_not_noted_and_who_waits_for_it_notes_it(db: Any, postgres_dsn: str) -> None:
    other = await asyncpg.connect(postgres_dsn)
    turn = db.transaction()
    await turn.start()
    await insert(db, "Hello")
    waiting = asyncio.create_task(insert(other, "Hello", created=now().replace(microsecond=1)))
    async with asyncio.timeout(PATIENCE):
        while not await db.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await db.execute("SELECT pg_sleep(0.01)")
    await turn.rollback()
    await waiting
    assert await noted(db) == {(1, "Hello"): month()}
    assert await db.fetchval("SELECT count(*) FROM message") == 1
    await other.close()


async def test_a_workspace_with_too_many_is_told_apart_and_notes_no_more(db: Any) -> None:
    fill = (
        "INSERT INTO subject (workspace, subject, until) SELECT $1, n::text, now() FROM generate_series(1, $2::int) n"
    )
    await db.execute(fill, 1, index_builds.MOST_SUBJECTS)
    await db.execute(fill, 2, 10)
    many = [f"order {n}" for n in range(400)]  # one in 64 has them counted
    await insert(db, *many)
    await insert(db, *many, workspace=2)
    assert [row["workspace"] for row in await db.fetch("SELECT workspace FROM subject_excess")] == [1]
    held = await db.fetchval("SELECT count(*) FROM subject")
    await insert(db, "one more", created=now().replace(microsecond=1))
    assert await db.fetchval("SELECT count(*) FROM subject") == held


async def test_subjects_of_before_the_migration_are_noted_too(
    empty_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate_up_to(empty_postgres_dsn, "0022")
    db = await asyncpg.connect(empty_postgres_dsn)
    before = datetime.combine(partitions.add_months(now().date(), -2), datetime.min.time(), UTC)
    await insert(db, "Hello", "Bye", created=before)
    await insert(db, "Hello", "Hello")
    await insert(db, "Welcome", named=uuid.uuid4())
    await insert(db, "a", "b", "c", "d", workspace=2)
    monkeypatch.setattr(index_builds, "MOST_SUBJECTS", 3)
    await migrate.migrate(empty_postgres_dsn)
    found = {key: until for key, until in (await noted(db)).items() if key[0] == 1}
    assert found == {(1, "Hello"): month(), (1, "Bye"): before, (1, "Welcome"): None}
    assert [row["workspace"] for row in await db.fetch("SELECT workspace FROM subject_excess")] == [2]
    await db.close()
