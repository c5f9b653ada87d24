"""Flushes without streams: what a shard's worker does with what it has read, one call a flush."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
from prometheus_client import CollectorRegistry

from postmeter.aggregator.errors import LeaseLost
from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.fold import moments
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.stream.batches import Batch
from postmeter.aggregator.stream.lease import Lease, Leases, Move
from postmeter.aggregator.unregistered.waiting import BEGINNING, Place
from postmeter.shared.storage import postgres
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import Record
from tests.aggregation import AT, SECOND, Bench, event, hit
from tests.waiting import until

HOUR = 3600 * SECOND


class Side:
    """One shard's worker: a connection, a lease, and what it remembers of messages."""

    def __init__(self, connection: Connection, lease: Lease, flusher: Flusher) -> None:
        self.connection = connection
        self._lease = lease
        self._flusher = flusher
        self._flushes = 0

    def forget(self) -> None:
        """Remember nothing of messages, as a process that has just begun."""
        self._flusher.memory.forget()

    async def flush(self, found: list[Record], name: str | None = None) -> None:
        """Count these; raises if the flush was part of a deadlock. A name that was used before: a repetition."""
        self._flushes += 1
        batch = Batch((name or f"{self._lease.shard}-{self._flushes}").encode(), found)
        position = f"{self._flushes}-0"
        await self._flusher.flush(self.connection, [Move(self._lease, position)], [batch])
        self._lease.position = position

    async def sweep(self, behind: Place = BEGINNING, most: int = 5000) -> Place | None:
        """Count what waited for a message that another side was registering. Returns where to go on, if anywhere."""
        return (await self._flusher.sweep(self.connection, self._lease, 1e9, behind, most)).sweep_behind

    async def adopt(self) -> None:
        """Move what was counted of messages that are registered by now."""
        await self._flusher.adopt(self.connection, self._lease)

    async def lower(self) -> None:
        """Lower messages whose recipients have chosen lately."""
        await self._flusher.lower(self.connection, self._lease)

    async def fall(self, found: list[Record]) -> None:
        """Count these and lose the lease at the last moment, so that nothing of it stays."""
        position, self._lease.position = self._lease.position, "stale"
        try:
            await self.flush(found)
        except LeaseLost:
            pass
        finally:
            self._lease.position = position


@asynccontextmanager
async def sides(at: Bench, number: int, *, together: bool = False) -> AsyncIterator[list[Side]]:
    """So many sides, each with a shard of its own, each a process of its own unless they are `together` in one."""

    def flusher() -> Flusher:
        return Flusher(at.settings, AggregatorMetrics(CollectorRegistry()))

    shared = flusher()
    pool = await postgres.connect(at.settings, "test", 60, moments.prepare, moments.PLANS)
    leases = Leases(pool, "test", 600.0, AggregatorMetrics(CollectorRegistry()))
    await leases.enlist(number)
    async with AsyncExitStack() as stack:
        yield [
            Side(await stack.enter_async_context(pool.acquire()), lease, shared if together else flusher())
            for lease in await leases.acquire(number)
        ]
    await pool.close()


def crowd(noise: random.Random, messages: int) -> list[Record]:
    """What one flush finds: of so many messages some, in no order, each touched in several ways or in state only."""
    found: list[Record] = []
    in_state = noise.random() < 0.5
    for _ in range(60):
        n, when = noise.randrange(messages), AT + noise.randrange(5 * HOUR)
        states: list[Record] = [
            event(EventType.SENT, n, when),
            event(EventType.DELIVERED, n, when),
            event(EventType.BOUNCED, n, when, bounce=BounceType.SOFT),
        ]
        engagements: list[Record] = [
            hit(n, when),
            hit(n, when, url="https://a.example/x"),
            event(EventType.REPLIED, n, when),
            event(EventType.UNSUBSCRIBED, n, when),
        ]
        found.append(noise.choice(states if in_state else states + engagements))
    return found


def of_workspace(workspace: int, found: list[Record]) -> list[Record]:
    return [msgspec.structs.replace(record, workspace=workspace) for record in found]


async def meet(at: Bench, first: Side, first_found: list[Record], second: Side, second_found: list[Record]) -> None:
    """The second flush begins before the first one's commit, and goes as far as it can before that."""
    waiting = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
    async with first.connection.transaction():
        await first.flush(first_found)
        flush = asyncio.create_task(second.flush(second_found))

        async def stands() -> bool:
            return flush.done() or bool(await at.value(waiting, second.connection.get_server_pid()))

        await until(stands)
    await flush
