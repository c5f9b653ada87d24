"""Works on erasures step by step: each step and the note of what it removed are one transaction, so no crash loses any.

Any aggregator takes the next step of any that is open. What other transactions are just writing cannot be seen: the
job waits for their end where that matters (ADR 0060).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import msgspec
import redis.asyncio
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.errors import TROUBLE
from postmeter.aggregator.metrics import ErasureMetrics
from postmeter.aggregator.store.memory import Memory
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.aggregator.upkeep.erasure import contacts, files, messages
from postmeter.aggregator.upkeep.erasure.step import QUERIES, Erasure, Step
from postmeter.shared.privacy import erasures
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import Pool

SECONDS = 1.0
"""Between two looks while nothing can be done."""
MOST = 100
"""Open erasures that one round looks at, the oldest; and of those that only wait for streams and files to be rid of
what they held, a minute and more, as many."""
_removed = msgspec.json.Decoder(dict[str, int])

Work = Callable[[Erasure], Awaitable[bool]]
"""Does some of a step. Returns whether the step is done."""


class Erasures:
    """The job of one aggregator."""

    def __init__(self, pool: Pool, client: redis.asyncio.Redis, memory: Memory, counters: ErasureMetrics) -> None:
        self._pool = pool
        self._memory = memory
        self._counters = counters
        self._trouble = TroubleLog()
        self._works: dict[Step, Work] = {
            Step.BURY: _bury,
            Step.FENCE: _fence,
            Step.MESSAGES: messages.make_nameless,
            Step.SECOND_FENCE: _fence,
            Step.LATE: messages.look_again,
            Step.CONTACTS: contacts.clear,
            Step.RECIPIENT: contacts.forget,
            Step.LINKS: files.clear_links,
            Step.FILES: lambda erasure: files.end(erasure, client),
            Step.REST: lambda erasure: files.are_gone(erasure, client),
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Failures are logged and tried again."""
        while not stop.is_set():
            gets_on = False
            try:
                gets_on = await self._round()
            except Exception as error:
                self._trouble.failed("erasures wait, trying again", error)
            if not gets_on:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), SECONDS)

    async def _round(self) -> bool:
        """One step of each that is open. Whether any of them gets on. One that fails holds up no other."""
        rows = await self._pool.fetch(QUERIES["open"], MOST, Step.REST)
        self._counters.open_seconds.set(max((row["waited"] for row in rows), default=0.0))
        gets_on = fails = False
        for row in rows:
            try:
                gets_on = await self._step(row["workspace"], row["id"]) or gets_on
            except Exception as error:
                if isinstance(error, TROUBLE) and not isinstance(error, asyncpg.PostgresError):
                    raise  # the connection: others would wait for it as well
                fails = True
                self._trouble.failed("erasures wait, trying again", error, erasure=str(row["id"]))
        if not fails:
            self._trouble.over("erasures get on again")
        return gets_on

    async def _step(self, workspace: int, job: UUID) -> bool:
        """Whether something was done."""
        async with self._pool.acquire() as connection, self._memory.transaction(connection) as held:
            row = await connection.fetchrow(QUERIES["take"], workspace, job)
            if row is None or not row["is_behind"]:
                return False
            erasure = Erasure(held, workspace, job, row["to_hash"], row["requested_at"])
            step = Step(row["step"])
            is_over = await self._works[step](erasure)
            if not is_over and not erasure.removed:
                return False
            if erasure.removed:
                await connection.execute(QUERIES["raise_versions"], workspace)
            total = _removed.decode(row["removed"])
            for table, n in erasure.removed.items():
                total[table] = total.get(table, 0) + n
            following = Step(step + 1) if is_over and step is not Step.REST else step
            fences = is_over and step in (Step.FENCE, Step.SECOND_FENCE)
            await connection.execute(
                QUERIES["go_on"], workspace, job, following, msgspec.json.encode(total).decode(), fences
            )
            if is_over and step is Step.REST:
                await connection.execute(QUERIES["complete"], workspace, job)
        for table, n in erasure.removed.items():
            self._counters.rows.labels(table).inc(n)
        if is_over and step is Step.REST:
            logs.get().info("recipient erased", workspace=workspace, erasure=str(job), removed=total)
        return True


async def _bury(erasure: Erasure) -> bool:
    """From now on reports of the recipient from before that come late create nothing."""
    digest = erasures.of_recipient(erasure.workspace, erasure.to_hash)
    await erasure.connection.execute(QUERIES["bury"], [erasure.workspace], [digest], [erasure.requested_at], [None])
    return True


async def _fence(erasure: Erasure) -> bool:
    """The next step waits for all transactions that have not seen the one before."""
    return True
