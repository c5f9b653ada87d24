"""A recipient is erased in one workspace; another workspace keeps what it has of the same person, to the letter."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from postmeter.aggregator import held
from postmeter.aggregator.stream import reader
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import CustomEvent, Mail
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.integration.contact_records import purchase
from tests.waiting import until

HASH = "ada0" * 16
TABLES = (
    "consent", "custom_event", "dead_letter", "engagement", "erased_clicks", "event", "export", "last_open", "link",
    "message", "purchase", "recipient_choice", "subject", "waiting",
)  # fmt: skip
PLANTED = (
    "INSERT INTO consent (workspace, to_hash, opens, method, text_version, source, at, recorded_by)"
    " VALUES ($1, $2, 1, 'form', '1', 'web', now(), 'key:1')",
    "INSERT INTO recipient_choice (workspace, to_hash, opens) VALUES ($1, $2, 1)",
    "INSERT INTO last_open VALUES ($1, $2, now())",
)
EXPORT = (
    "INSERT INTO export (workspace, id, type, format, parameters, status, expires_at, file)"
    " VALUES (2, 'e', 'events', 'csv', '', 'completed', now() + interval '1 day', 'f')"
)


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(reader, "TRIM_MARGIN_MS", 0)
    monkeypatch.setattr(held, "TRIM_SECONDS", 0.2)
    async with bench(postgres_dsn, redis_url) as made:
        await made.db.execute("INSERT INTO workspace (id, name) VALUES ('one', 'One'), ('two', 'Two')")
        yield made


async def plant(at: Bench, workspace: int) -> None:
    of: dict[str, Any] = {"workspace": workspace}
    mail = Mail("src", HASH, "a.example", "n@shop.example", "shop.example", "Dear Ada", "", "", [])
    first = 10 * workspace
    await at.streams.append(
        0,
        registration(first, to_hash=HASH, subject="Dear Ada", provider_message="esp-1", **of),
        hit(first, AT + SECOND, **of),
        hit(first, AT + 2 * SECOND, url="https://a.example/for-ada", **of),
        event(EventType.BOUNCED, first, AT + SECOND, bounce=BounceType.HARD, reason="Dear Ada", **of),
        event(EventType.DELIVERED, 70_000, AT, mail=mail, **of),  # waits
        event(EventType.DELIVERED, first, AT, key=b"k" * 16, digest=b"1" * 8, mail=mail, **of),
        event(EventType.DELIVERED, first, AT, key=b"k" * 16, digest=b"2" * 8, mail=mail, **of),  # is put aside
        purchase("p", HASH, AT, order="of-ada", **of),
        CustomEvent(AT, AT, workspace, "c", "seen", HASH, '{"x": "of-ada"}', None),
    )
    for query in PLANTED:
        await at.db.execute(query, workspace, HASH)


async def kept(at: Bench, workspace: int) -> dict[str, list[str]]:
    """Every row that names the workspace, as text."""
    rows = "SELECT to_jsonb(t)::text FROM {} t WHERE workspace = $1 ORDER BY 1"
    return {table: [row[0] for row in await at.db.fetch(rows.format(table), workspace)] for table in TABLES}


async def test_the_same_person_of_another_workspace_stays(at: Bench) -> None:
    async with at.aggregator():
        for workspace in (1, 2):
            await plant(at, workspace)
        await at.db.execute(EXPORT)
        await at.counted()

        async def attributed() -> bool:
            return bool(await at.value("SELECT count(*) FROM purchase WHERE resolved_at IS NULL") == 0)

        await until(attributed)
        before = await kept(at, 2)
        assert all(before[table] for table in TABLES if table != "erased_clicks"), before
        await at.db.execute(
            "INSERT INTO erasure (workspace, id, to_hash, requested_by) VALUES (1, gen_random_uuid(), $1, 'key:1')",
            HASH,
        )

        async def completed() -> bool:
            return bool(await at.value("SELECT completed_at IS NOT NULL FROM erasure"))

        await until(completed)
    assert await kept(at, 2) == before
    left = await kept(at, 1)
    assert not [table for table in TABLES if HASH in "".join(left[table]) or "Dear Ada" in "".join(left[table])]
