"""Messages with the cohorts that the aggregator keeps of them, and a query-service that is asked about them."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import asyncpg

from postmeter.shared.storage import partitions, rollups, uuid7
from postmeter.shared.stream.events import EventType, State, Verdict
from tests.integration import query_api
from tests.integration.counted_facts import raised, rows_of, stale, stored
from tests.integration.query_api import Api
from tests.integration.running_query import Workspaces

SCOPES = ["analytics", "mail:read"]


@dataclass(frozen=True)
class Mail:
    """A message as it is stored."""

    created: datetime
    state: State = State.QUEUED
    domain: str = "example.com"
    provider: str = "SENDGRID"
    template: str = ""
    tags: tuple[str, ...] = ()
    subject: str = "Hello"
    provider_account: str = ""
    provider_message: str = ""
    to_hash: str = "0" * 64
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    id: uuid.UUID = field(default_factory=uuid.uuid4)


@asynccontextmanager
async def asking(dsn: str, redis_url: str, now: datetime, first: date) -> AsyncIterator[Api]:
    """An Api for which it is always `now`; the tables reach back to the month of `first`."""
    await ensure_message_months(dsn, first, now.date())
    async with query_api.asking(dsn, redis_url, now, first, Api, scopes=SCOPES) as made:
        yield made


async def ensure_message_months(dsn: str, first: date, last: date) -> None:
    (table,) = [table for table in partitions.TABLES if table.table == "message"]
    connection = await asyncpg.connect(dsn)
    try:
        await partitions.ensure(connection, table, first.replace(day=1), last)
    finally:
        await connection.close()


async def register(here: Workspaces, workspace: int, *mails: Mail) -> None:
    """Messages, and their counts by the time of creation in every tier, in one transaction."""
    async with here.pool.acquire() as connection, connection.transaction():
        series = await _series(connection, workspace, mails)
        await connection.executemany(
            "INSERT INTO message (workspace, id, series, state, campaign, from_address, to_hash, to_domain, subject,"
            " provider, provider_account, provider_message, template, tags, created_at, sent_at, delivered_at)"
            " VALUES ($1, $2, $3, $4, '', $5, $6, 'reader.example', $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            [
                (
                    workspace,
                    mail.id,
                    series[_combination(mail)],
                    mail.state,
                    f"hello@{mail.domain}",
                    mail.to_hash,
                    mail.subject,
                    mail.provider,
                    mail.provider_account,
                    mail.provider_message,
                    mail.template,
                    list(mail.tags),
                    mail.created,
                    mail.sent_at,
                    mail.delivered_at,
                )
                for mail in mails
            ],
        )
        counted = [(series[_combination(mail)], mail.created, mail.state.name.lower(), 1) for mail in mails]
        await count(connection, workspace, rollups.CREATED, counted)


async def count(
    connection: Any, workspace: int, rollup: rollups.Rollup, facts: Iterable[tuple[int, datetime, str, int]]
) -> None:
    """(series, at, counter, n) into every tier of a rollup, and into the workspace's sum."""
    facts = list(facts)
    columns = ", ".join(rollup.counters)
    values = ", ".join(f"${i + 4}" for i in range(len(rollup.counters)))
    for tier in rollup.tiers:
        cells: dict[tuple[int, datetime], Counter[str]] = {}
        for series, at, counter, n in facts:
            bucket = datetime.fromtimestamp(at.timestamp() // tier.seconds * tier.seconds, UTC)
            for number in rows_of(tier, series):
                cells.setdefault((number, bucket), Counter())[counter] += n
            if not tier.has_total:
                cells[rollups.TOTAL, bucket] = stale(rollup)
        await connection.executemany(
            f"INSERT INTO {tier.table} AS cohort (workspace, series, bucket, {columns}) VALUES ($1, $2, $3, {values})"
            f" ON CONFLICT (workspace, bucket, series) DO UPDATE SET {raised('cohort', rollup.counters)}",
            [(workspace, *place, *stored(cell, rollup.counters)) for place, cell in cells.items()],
        )


async def happened(
    here: Workspaces,
    workspace: int,
    message: uuid.UUID,
    *events: tuple[EventType, datetime],
    verdict: Verdict | None = None,
) -> None:
    """Rows of a message's history."""
    await here.pool.executemany(
        "INSERT INTO event (workspace, message, at, received_at, type, series, verdict)"
        " VALUES ($1, $2, $3, $3, $4, 1, $5)",
        [(workspace, message, at, kind, verdict) for kind, at in events],
    )


def an_id(at: datetime) -> uuid.UUID:
    """A UUIDv7 of a moment, as the tracking-service makes them."""
    return uuid7.new(int(at.timestamp() * 1000))


Combination = tuple[str, str, str, tuple[str, ...]]


def _combination(mail: Mail) -> Combination:
    return mail.domain, mail.provider, mail.template, tuple(sorted(mail.tags))


async def _series(connection: Any, workspace: int, mails: Iterable[Mail]) -> dict[Combination, int]:
    return {
        combination: await connection.fetchval(
            "INSERT INTO series (workspace, domain, provider, template, tags) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (workspace, campaign, domain, provider, template, tags, mailbox_provider)"
            " DO UPDATE SET campaign = EXCLUDED.campaign RETURNING id",
            workspace,
            *combination[:3],
            list(combination[3]),
        )
        for combination in sorted({_combination(mail) for mail in mails})
    }
