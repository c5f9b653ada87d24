"""What a workspace keeps for less time than the installation does: its rows go, those of others stay, sums stay."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from postmeter.aggregator.fold import moments
from postmeter.aggregator.metrics import ErasureMetrics
from postmeter.aggregator.store.memory import Memory
from postmeter.aggregator.upkeep import retention, workspace_retention
from postmeter.aggregator.upkeep.workspace_retention import WorkspaceRetention
from postmeter.shared.storage import partitions, postgres
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import CustomEvent
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, message, now, registration
from tests.integration.aggregator_sums import sums
from tests.integration.contact_records import purchase
from tests.waiting import until

CONTACT = "c0" * 32
TODAY = partitions.add_months(datetime.now(UTC).date(), 3)
"""So much later all that was planted is over for who keeps a month."""


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        await made.db.execute("INSERT INTO workspace (id, name) VALUES ('short', 'Short'), ('long', 'Long')")
        yield made


async def plant(at: Bench) -> None:
    async with at.aggregator():
        for workspace in (1, 2):
            of: dict[str, Any] = {"workspace": workspace}
            await at.streams.append(
                0,
                *(registration(10 * workspace + n, **of) for n in range(5)),
                *(hit(10 * workspace + n, AT + n * SECOND, **of) for n in range(5)),
                event(EventType.DELIVERED, 10 * workspace, AT + SECOND, **of),
                purchase(f"evt_{workspace}", CONTACT, AT, order="o", **of),
                CustomEvent(AT, AT, workspace, f"evt_c{workspace}", "seen", CONTACT, '{"a": 1}', None),
            )
        await at.counted()

        async def attributed() -> bool:
            return bool(await at.value("SELECT count(*) FROM purchase WHERE resolved_at IS NOT NULL") == 2)

        await until(attributed)
    for workspace in (1, 2):
        for opens, days in ((1, 400), (2, 300), (1, 200)):
            await at.db.execute(
                "INSERT INTO consent (workspace, to_hash, opens, method, text_version, source, at, recorded_at,"
                " recorded_by) VALUES ($1, $2, $3, '', '', '', now() - $4::int * interval '1 day',"
                " now() - $4::int * interval '1 day', 'key:1')",
                workspace, CONTACT, opens, days,
            )  # fmt: skip
        await at.db.execute(
            "INSERT INTO audit (workspace, at, actor, action, target)"
            " VALUES ($1, now() - interval '3 years', '', '', ''), ($1, now(), '', '', '')",
            workspace,
        )


async def keep(at: Bench, metrics: ErasureMetrics) -> None:
    pool = await postgres.connect(at.settings, "aggregator", 60, moments.prepare, moments.PLANS)
    async with pool.acquire() as connection:
        await retention.once(connection, at.settings, TODAY, WorkspaceRetention(Memory(100), metrics, 24))
    await pool.close()


async def rows(at: Bench, query: str) -> list[int]:
    """How many of each of both workspaces."""
    return [await at.value(f"SELECT count(*) FROM {query} AND workspace = {workspace}") for workspace in (1, 2)]


async def test_what_is_over_goes_and_sums_stay(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_retention, "MOST", 2)
    await plant(at)
    before = await sums(at)
    # One that is not attributed yet needs whose it is.
    changes = '{"id": "open", "resolved_at": null}'
    copied = f"SELECT (jsonb_populate_record(p, '{changes}')).* FROM purchase p WHERE workspace = 1"
    await at.db.execute(f"INSERT INTO purchase {copied}")
    await at.db.execute(
        "INSERT INTO privacy_setting (workspace, history_months, messages_months, contacts_months, consent_months)"
        " VALUES (1, 1, 1, 1, 1)"
    )
    metrics = ErasureMetrics(CollectorRegistry())
    await keep(at, metrics)
    assert await rows(at, "event WHERE true") == [0, 6]
    assert await rows(at, "engagement WHERE true") == [0, 5]
    assert await rows(at, "mail WHERE to_hash <> '' AND subject <> '' AND flags & 1024 = 0") == [0, 5]
    assert await rows(at, "message WHERE true") == [5, 5]
    assert await at.value("SELECT string_agg(id, ' ' ORDER BY id) FROM purchase WHERE contact <> ''") == "evt_2 open"
    assert await rows(at, "custom_event WHERE true") == [0, 1]
    assert await rows(at, "consent WHERE true") == [1, 3]
    assert await at.value("SELECT opens FROM consent WHERE workspace = 1") == 1
    assert await rows(at, "audit WHERE true") == [1, 1]
    removed = {kind: metrics.retained.labels(kind)._value.get() for kind in (*workspace_retention.KINDS, "audit")}
    assert removed == {"history": 6, "messages": 5, "contacts": 2, "consent": 2, "audit": 2}
    assert await sums(at) == before
    # What is told of them still counts, for the series that they are of.
    async with at.aggregator():
        when = now()
        told = {"provider": "SENDGRID", "provider_message": "sg-11"}
        await at.streams.append(0, event(EventType.COMPLAINED, None, when, **told), hit(12, when))
        await at.counted()
    assert await at.value("SELECT state FROM message WHERE id = $1", uuid.UUID(bytes=message(11))) == 8
    assert (await at.total())["human_opens"] == 10


async def test_nothing_is_looked_for_twice_in_a_month(at: Bench) -> None:
    await plant(at)
    await at.db.execute("INSERT INTO privacy_setting (workspace, history_months) VALUES (1, 1)")
    metrics = ErasureMetrics(CollectorRegistry())
    await keep(at, metrics)
    assert await rows(at, "event WHERE true") == [0, 6]
    await at.db.execute("INSERT INTO event SELECT (jsonb_populate_record(e, '{\"workspace\": 1}')).* FROM event e")
    await keep(at, metrics)
    assert await rows(at, "event WHERE true") == [6, 6]
    await at.db.execute("UPDATE retention_done SET until = until - interval '1 month'")
    kept = f'{{"workspace": 1, "at": "{partitions.add_months(TODAY, -1)}T00:00:00Z"}}'  # the first moment of that month
    await at.db.execute(f"INSERT INTO event SELECT (jsonb_populate_record(e, '{kept}')).* FROM event e LIMIT 1")
    await keep(at, metrics)
    assert await rows(at, "event WHERE true") == [1, 6]


async def test_of_proofs_of_one_moment_that_which_holds_stays(at: Bench) -> None:
    """A refusal, though a grant of the same moment was told after it; for opens and for clicks apart."""
    told = [(2, None), (1, None), (None, 1), (None, 0), (0, 1), (1, 1)]
    for opens, clicks in told:
        await at.db.execute(
            "INSERT INTO consent (workspace, to_hash, opens, clicks, method, text_version, source, at, recorded_at,"
            " recorded_by) VALUES (1, $1, $2, $3, '', '', '', '2026-01-01', now() - interval '1 year', 'key:1')",
            CONTACT, opens, clicks,
        )  # fmt: skip
    await at.db.execute("INSERT INTO privacy_setting (workspace, consent_months) VALUES (1, 1)")
    await keep(at, ErasureMetrics(CollectorRegistry()))
    left = [tuple(row) for row in await at.db.fetch("SELECT opens, clicks FROM consent ORDER BY id")]
    assert left == [(2, None), (None, 0)]
