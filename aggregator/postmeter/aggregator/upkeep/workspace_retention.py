"""Retention of workspaces that keep less than the installation does (`PUT /v1/privacy`): rows go, a few at a time.

Months are as those of the installation: beside the present one. What is over is removed once a month, and when a
workspace says another number; each step is a transaction of its own. Partitions, which all share, go by the
installation's settings alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import NamedTuple

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.aggregator.metrics import ErasureMetrics
from postmeter.aggregator.store.memory import Memory
from postmeter.aggregator.upkeep.erasure import messages
from postmeter.aggregator.upkeep.erasure.step import QUERIES as ERASURES
from postmeter.aggregator.upkeep.erasure.step import Erasure
from postmeter.shared.process import logs
from postmeter.shared.storage import partitions
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.aggregator.upkeep", "workspace_retention.sql")
MOST = 2000
"""Rows of one step."""
KINDS = ("history", "messages", "contacts", "consent")
"""As in `retention` of /v1/privacy."""
_NOBODY = UUID(bytes(16))
_EARLIEST = -62_135_596_800 * MICROSECONDS
_done = msgspec.json.Decoder(dict[str, date])


class Expired(NamedTuple):
    """What a workspace keeps no longer: all of before `oldest`, a first of a month."""

    workspace: int
    oldest: date

    @property
    def at(self) -> int:
        """In microseconds since 1970."""
        return _micros(self.oldest)


class WorkspaceRetention:
    """Removes what single workspaces no longer keep, and what is too old in the audit log."""

    def __init__(self, memory: Memory, metrics: ErasureMetrics, audit_months: int) -> None:
        self._memory = memory
        self._metrics = metrics
        self._audit_months = audit_months
        self._works: dict[str, Callable[[Connection, Expired], Awaitable[int]]] = {
            "history": self._history,
            "messages": self._messages,
            "contacts": self._contacts,
            "consent": self._consent,
        }

    async def once(self, connection: Connection, today: date) -> None:
        """Remove all that is over and was not when this was done last."""
        for row in await connection.fetch(_QUERIES["wanted"]):
            done = _done.decode(row["done"])
            for kind in KINDS:
                months = row[f"{kind}_months"]
                if months is None:
                    continue
                over = Expired(row["workspace"], partitions.add_months(today, -months))
                if done.get(kind, date.min) < over.oldest:
                    await self._remove(connection, kind, over)
        oldest = _micros(partitions.add_months(today, -self._audit_months))
        self._count("audit", await _all(connection, "audit", oldest))

    async def _remove(self, connection: Connection, kind: str, over: Expired) -> None:
        n = await self._works[kind](connection, over)
        self._count(kind, n)
        await connection.execute(_QUERIES["done"], over.workspace, kind, over.oldest)
        if n:
            await connection.execute(ERASURES["raise_versions"], over.workspace)
            logs.get().info("retention of a workspace", workspace=over.workspace, kind=kind, before=over.oldest, rows=n)

    def _count(self, kind: str, n: int) -> None:
        self._metrics.retained.labels(kind).inc(n)

    async def _history(self, connection: Connection, over: Expired) -> int:
        """Month by month: other partitions are not touched."""
        n = 0
        for row in await connection.fetch(_QUERIES["months"], "event", over.oldest):
            low = datetime.strptime(row["month"], "%Y%m").replace(tzinfo=UTC).date()
            bounds = _micros(low), _micros(partitions.add_months(low, 1))
            n += await _all(connection, "history", over.workspace, *bounds)
        return n

    async def _messages(self, connection: Connection, over: Expired) -> int:
        """They lose what identifies, as erased ones do: rollups are corrected by their series and state."""
        n, behind = 0, (_EARLIEST, _NOBODY)
        while True:
            began = time.monotonic()
            rows = await self._some_messages(connection, over, *behind)
            if not rows:
                return n
            n, behind = n + len(rows), (rows[-1]["created_at"], rows[-1]["id"])
            # Slots were held, and counting waited: now it has as long for itself.
            await asyncio.sleep(time.monotonic() - began)

    async def _some_messages(
        self, connection: Connection, over: Expired, created: int, message: UUID
    ) -> list[asyncpg.Record]:
        async with self._memory.transaction(connection) as held:
            rows: list[asyncpg.Record] = await connection.fetch(
                _QUERIES["messages"], over.workspace, over.at, created, message, messages.MOST
            )
            if rows:
                erasure = Erasure(held, over.workspace, _NOBODY, "", time.time_ns() // 1000)
                provisional = (row["id"] for row in rows if row["is_provisional"])
                await messages.strip(erasure, sorted(row["id"] for row in rows), provisional, links=False)
        return rows

    async def _contacts(self, connection: Connection, over: Expired) -> int:
        cleared = await _all(connection, "purchases", over.workspace, over.at)
        return cleared + await _all(connection, "custom_events", over.workspace, over.at)

    async def _consent(self, connection: Connection, over: Expired) -> int:
        return await _all(connection, "consent", over.workspace, over.at)


async def _all(connection: Connection, query: str, *arguments: object) -> int:
    """Run a statement that removes up to MOST rows until it finds fewer; how many in all."""
    removed = 0
    while True:
        n: int = await connection.fetchval(_QUERIES[query], *arguments, MOST)
        removed += n
        if n < MOST:
            return removed


def _micros(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MICROSECONDS
