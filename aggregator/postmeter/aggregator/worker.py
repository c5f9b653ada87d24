"""The loop of some shards: read what has come of all of them, count it in one flush, publish it, again (ADR 0054)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

import redis.asyncio

from postmeter.aggregator import metrics, sweeper
from postmeter.aggregator.conversions.resolver import Resolver
from postmeter.aggregator.culprits import Counting
from postmeter.aggregator.errors import SERIALIZATION, TIME_OUTS, TROUBLE, LeaseLost, StreamSetBack
from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.held import Held
from postmeter.aggregator.live.publisher import Publisher
from postmeter.aggregator.outcome import Outcome
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.stream.lease import Lease, Move, advance, committed
from postmeter.aggregator.stream.reader import StreamReader
from postmeter.aggregator.stream.readings import Reading, Readings
from postmeter.aggregator.sweeper import Sweeper
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import Pool

BLOCK_MS = 200
LONG_SECONDS = 1.0
BEGINNING = "0-0"


class Worker:
    """Counts the shards that it is given until `stop` is called; a flush that has begun is finished.

    All are read and counted together. After a failure each is tried alone until each has got on, so that one that
    cannot be counted holds up no other.
    """

    def __init__(
        self,
        pool: Pool,
        client: redis.asyncio.Redis,
        flusher: Flusher,
        settings: AggregatorSettings,
        counters: metrics.AggregatorMetrics,
        resolver: Resolver,
        behind: asyncio.Event,
    ) -> None:
        """behind: set where it leaves something in the streams, takes LONG_SECONDS for a flush, or fails."""
        self._pool = pool
        self._behind = behind
        self._settings = settings
        self._counters = counters
        self._reader = StreamReader(client)
        self._readings = Readings(self._reader)
        self._publisher = Publisher(client, pool, counters, resolver)
        self._counting = Counting(flusher, self._committed)
        self._sweeper = Sweeper(flusher, self._committed, counters)
        self._limit = settings.batch_records
        self._held: dict[int, Held] = {}
        self._leaving: dict[int, asyncio.Future[Held | None]] = {}
        self._together = True
        self._in_doubt = False
        self._stopping = False
        self._changed = asyncio.Event()

    @property
    def leases(self) -> dict[int, Lease]:
        """What it counts now, by shard: without those that it has found to be lost."""
        return {shard: held.lease for shard, held in self._held.items()}

    @property
    def held(self) -> Collection[Held]:
        """What it counts now, and how far each is."""
        return self._held.values()

    def take(self, lease: Lease) -> None:
        """Count this shard from its position on."""
        self.take_over(Held(lease, self._counters))

    def take_over(self, held: Held) -> None:
        """Count a shard that another worker gave."""
        self._held[held.lease.shard] = held
        self._publisher.take(held.lease.shard)
        self._changed.set()

    async def give(self, shard: int) -> Held | None:
        """Count this shard no more; returns when no flush holds it. None: its lease was lost before that.

        Whoever gets it has it counted by another worker, or closes it.
        """
        if shard not in self._held:
            return None
        left: asyncio.Future[Held | None] = asyncio.get_running_loop().create_future()
        self._leaving[shard] = left
        self._changed.set()
        return await left

    def doubt(self) -> None:
        """Where Postgres stands is to be asked before anything else is read: it may have been set back."""
        self._in_doubt = True

    def stop(self) -> None:
        """End after the flush in hand."""
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Count until stopped. Failures are logged and tried again."""
        try:
            while not self._stopping:
                self._let_go(list(self._leaving))
                if not self._held:
                    self._changed.clear()
                    await self._changed.wait()
                elif self._together:
                    await self._try(list(self._held.values()))
                else:
                    await self._try_each_alone()
        finally:
            self._let_go(list(self._held))
            await self._readings.close()

    def _let_go(self, shards: Iterable[int], *, lost: bool = False) -> None:
        for shard in shards:
            held, left = self._held.pop(shard, None), self._leaving.pop(shard, None)
            self._reader.forget(shard)
            self._publisher.suspect(shard)
            is_asked_for = left is not None and not left.done()  # whoever waited for it may have been cancelled
            if held is not None and (lost or not is_asked_for):
                held.close()
            if left is not None and is_asked_for:
                left.set_result(None if lost else held)

    async def _try_each_alone(self) -> None:
        now = time.monotonic()
        due = [held for held in self._held.values() if held.again_at <= now]
        for held in due:
            if self._stopping or self._leaving:
                return  # whoever waits for a shard need not wait for the others
            await self._try([held])
        if all(held.sound for held in self._held.values()):
            self._together = True
        elif not due:
            self._changed.clear()
            soonest = min(held.again_at for held in self._held.values())
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, soonest - now)):
                    await self._changed.wait()

    async def _try(self, group: list[Held]) -> None:
        """One round of these shards. Of one that fails each is to be tried alone."""
        if self._in_doubt:
            self._in_doubt = False
            for held in self._held.values():
                held.sound = False
                self._publisher.suspect(held.lease.shard)
        try:
            await self._recover([held for held in group if not held.sound])
            await self._round(group)
        except LeaseLost as error:
            logs.get().warning("lease lost", lease=str(error))
            self._let_go([held.lease.shard for held in group if held.lease.shard in error.shards], lost=True)
            self._fail(group, error, alone=False)
        except StreamSetBack as error:
            await self._start_over(self._held[error.shard], error)
        except SERIALIZATION as error:
            self._counters.retries.labels("serialization").inc()
            self._fail(group, error, alone=False)
        except Exception as error:
            if isinstance(error, TIME_OUTS):  # less at once may be done in time
                self._limit = max(1, self._limit // 2)
            self._counters.retries.labels("connection" if isinstance(error, TROUBLE) else "error").inc()
            self._fail(group, error, alone=not self._together)

    def _fail(self, group: Iterable[Held], error: Exception, *, alone: bool) -> None:
        for held in group:
            held.fails(error, alone=alone)
            self._publisher.suspect(held.lease.shard)
        self._together = False
        self._behind.set()

    async def _recover(self, failed: list[Held]) -> None:
        """Read on from where Postgres stands: that also tells whether a commit that was cut off took place."""
        if failed:
            positions = await committed(self._pool, [held.lease for held in failed])
            for held in failed:
                held.lease.position = positions[held.lease.shard]

    async def _start_over(self, held: Held, error: StreamSetBack) -> None:
        logs.get().error("stream set back; reading it again from its beginning", reason=str(error))
        self._counters.stream_regressions.inc()
        self._publisher.suspect(held.lease.shard)
        try:
            await advance(self._pool, [Move(held.lease, BEGINNING)])
        except Exception as failure:
            self._fail([held], failure, alone=True)
        else:
            held.lease.position = BEGINNING

    async def _round(self, group: list[Held]) -> None:
        for held in group:
            await self._publisher.publish(held.lease.shard, {})
        block = BLOCK_MS if self._together else max(1, BLOCK_MS // len(self._held))
        reading = await self._readings.next(_positions(group), self._limit, block)
        began = time.monotonic()
        if reading.entries:
            await self._count(group, reading)
        for held in group:
            # Of what is read no further: counted up to when its last entry was appended.
            at = _appended_at(held.lease.position) if held.lease.shard in reading.more else reading.at
            held.counted(at)
            await self._look_after(held)
            held.recovers()
        if reading.entries:
            await asyncio.sleep(max(0.0, began + self._settings.flush_pause - time.monotonic()))

    async def _count(self, group: list[Held], reading: Reading) -> None:
        began = time.monotonic()
        leases = {held.lease.shard: held.lease for held in group}
        work = [(batch, leases[shard], position) for batch, shard, position in reading.entries]
        if reading.more:
            self._behind.set()
            self._readings.read_ahead(reading.end(_positions(group)), self._limit)
        async with self._pool.acquire() as connection:
            await self._counting.count(connection, leases[min(leases)], work)
        self._size_next(reading.records, time.monotonic() - began)

    async def _look_after(self, held: Held) -> None:
        """What is due now and then beside counting."""
        if held.lease.shard == sweeper.SHARD and (which := self._sweeper.due()) is not None:
            async with self._pool.acquire() as connection:
                await self._sweeper.sweep(connection, held.lease, which)
        if held.is_due_to_trim():
            # By what Postgres says now: while it is away nothing goes, for it may come back with less.
            stands = await committed(self._pool, [held.lease])
            await self._reader.trim(held.lease.shard, stands[held.lease.shard])

    async def _committed(self, outcome: Outcome, moves: Sequence[Move]) -> None:
        for move in moves:
            if (held := self._held.get(move.lease.shard)) is not None:
                held.gets_on()
        await self._publisher.committed(moves[0].lease.shard, outcome)

    def _size_next(self, size: int, seconds: float) -> None:
        """Let the next flush take about `flush_seconds`, judged by a full one; never below half of the most."""
        self._counters.flush_seconds.observe(seconds)
        if seconds > LONG_SECONDS:
            self._behind.set()
        most = self._settings.batch_records
        if size >= self._limit:
            self._limit = min(most, max(1, most // 2, int(size * self._settings.flush_seconds / seconds)))


def _positions(group: Iterable[Held]) -> dict[int, str]:
    return {held.lease.shard: held.lease.position for held in group}


def _appended_at(entry: str) -> float:
    return int(entry.partition("-")[0]) / 1000
