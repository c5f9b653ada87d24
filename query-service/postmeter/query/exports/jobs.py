"""The table of exports: durable jobs, leased by the database's clock, fenced by the number of the attempt.

A worker that has lost its lease, because it slept or was cut off, finds another attempt in the row: whatever it
made, it cannot be completed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from postmeter.query.engine.query import Scope
from postmeter.query.exports import failures
from postmeter.query.exports.failures import TooManyExports
from postmeter.query.exports.order import Order
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.query.exports", "jobs.sql")
MAX_OPEN = 20
"""Open exports of one workspace."""
MAX_TRIES = 3
"""Attempts that may fail, or whose worker may die."""
KEEP_DAYS = 30
"""How long the status of an export can be asked for after its file was removed."""
LATEST = 20
"""Exports that a list of the latest has."""
SWEEP = 100
"""Rows that one round of sweeping takes."""
TAKING_LOCK, ORDERING_LOCK = 0x706D7861, 0x706D786F
"""Advisory locks: the one of whoever takes a job; with a workspace's number that of its orders."""


@dataclass(frozen=True)
class Job:
    """A job at work under a lease. attempt: of all; tries: of these the ones that count."""

    workspace: int
    id: str
    attempt: int
    tries: int
    order: Order
    created_at: datetime

    @property
    def last(self) -> bool:
        """Whether there is no other attempt after this one."""
        return self.tries >= MAX_TRIES


@dataclass(frozen=True)
class Leftover:
    """An export whose files, of every attempt, are to be removed."""

    workspace: int
    id: str
    format: str
    attempt: int


class Jobs:
    """Reads and writes the table. lease: seconds without a sign of life; lifetime: seconds that a file is kept."""

    def __init__(self, pool: Pool, lease: float, lifetime: float) -> None:
        self._pool = pool
        self.lease = lease
        self.lifetime = lifetime

    async def order(self, workspace: int, order: Order, estimate: float) -> tuple[str, datetime, float]:
        """(id, when it was ordered, seconds of work before it). Raises TooManyExports beyond MAX_OPEN.

        estimate: about how many seconds of work it is itself.
        """
        job_id = f"exp_{secrets.token_hex(16)}"
        parameters = msgspec.json.encode(order).decode()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_QUERIES["ordering"], ORDERING_LOCK, workspace)
            row = await connection.fetchrow(
                _QUERIES["order"],
                workspace,
                job_id,
                order.type,
                order.format,
                parameters,
                order.domains,
                MAX_OPEN,
                estimate,
            )
        if row is None:
            raise TooManyExports(f"This workspace has {MAX_OPEN} exports in the making: wait for one to end.")
        return job_id, row["created_at"], row["before"]

    async def find(self, scope: Scope, export_id: str) -> asyncpg.Record | None:
        """An export's row, if the caller may see everything in it."""
        return await self._pool.fetchrow(_QUERIES["find"], scope.workspace, export_id, scope.domains)

    async def latest(self, scope: Scope) -> list[asyncpg.Record]:
        """Rows of the latest exports of which the caller may see everything, the latest first."""
        return await self._pool.fetch(_QUERIES["latest"], scope.workspace, scope.domains, LATEST)

    async def file(self, workspace_id: str, export_id: str, by: str) -> asyncpg.Record | None:
        """Format and file of an export that may be downloaded now, by a link that `by` (of a principal) asked for."""
        return await self._pool.fetchrow(_QUERIES["file"], workspace_id, export_id, by)

    async def take(self) -> Job | None:
        """Lease a job, if there is one to work on. Of one workspace one job is at work at a time, whoever works."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_QUERIES["taking"], TAKING_LOCK)
            row = await connection.fetchrow(_QUERIES["take"], self.lease, MAX_TRIES)
        if row is None:
            return None
        order = msgspec.json.decode(row["parameters"], type=Order)
        return Job(row["workspace"], row["id"], row["attempt"], row["tries"], order, row["created_at"])

    async def kept(self, workspace: int) -> int:
        """Bytes of the workspace's files."""
        size: int = await self._pool.fetchval(_QUERIES["kept"], workspace)
        return size

    async def renew(self, job: Job, percent: int) -> bool:
        """Keep the lease; False where it was lost. The progress that is shown never falls."""
        row = await self._pool.fetchval(
            _QUERIES["renew"], job.workspace, job.id, job.attempt, self.lease, min(percent, 99)
        )
        return row is not None

    async def complete(self, job: Job, file: str, size: int) -> bool:
        """Make the file the export's; False where the lease was lost."""
        row = await self._pool.fetchval(
            _QUERIES["complete"], job.workspace, job.id, job.attempt, file, size, self.lifetime
        )
        return row is not None

    async def fail(self, job: Job, reason: str) -> bool:
        """End the job without a file; False where the lease was lost."""
        row = await self._pool.fetchval(_QUERIES["fail"], job.workspace, job.id, job.attempt, reason, self.lifetime)
        return row is not None

    async def put_off(self, job: Job, reason: str, seconds: float) -> None:
        """Let another attempt begin after a pause, in seconds."""
        await self._pool.execute(_QUERIES["put_off"], job.workspace, job.id, job.attempt, reason, seconds)

    async def give_back(self, job: Job) -> None:
        """Let another worker begin at once; this attempt does not count."""
        await self._pool.execute(_QUERIES["give_back"], job.workspace, job.id, job.attempt)

    async def give_up(self) -> list[str]:
        """End the jobs whose workers died every time; returns their ids."""
        rows = await self._pool.fetch(_QUERIES["give_up"], MAX_TRIES, failures.DIED, self.lifetime)
        return [row["id"] for row in rows]

    async def expire(self) -> list[Leftover]:
        """Exports whose time is over. They stay in this list until `removed` is called for them."""
        return [Leftover(*row) for row in await self._pool.fetch(_QUERIES["expire"], SWEEP)]

    async def removed(self, leftover: Leftover) -> None:
        """Note that the files are gone."""
        await self._pool.execute(_QUERIES["removed"], leftover.workspace, leftover.id)

    async def forget(self) -> None:
        """Delete rows that nobody asks for any more."""
        await self._pool.execute(_QUERIES["forget"], KEEP_DAYS, SWEEP)

    async def open(self) -> int:
        """How many jobs are open."""
        count: int = await self._pool.fetchval(_QUERIES["open"])
        return count
