"""One shard's loop: read what has come, count it, publish it, again."""

from __future__ import annotations

import asyncio
import random
import time

import redis.asyncio

from postmeter.aggregator.batches import Batch, reject, unpack
from postmeter.aggregator.conversions.resolver import Resolver
from postmeter.aggregator.errors import REFUSALS, SERIALIZATION, TROUBLE, LeaseLost, StreamSetBack
from postmeter.aggregator.flush import Flusher, Outcome
from postmeter.aggregator.lease import Lease
from postmeter.aggregator.live import LivePublisher
from postmeter.aggregator.queries import QUERIES
from postmeter.aggregator.reader import StreamReader
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.aggregator.waiting import SWEEP_LIMIT
from postmeter.shared import logs, metrics, partitions
from postmeter.shared.postgres import Connection, Pool
from postmeter.shared.records import Record

BLOCK_MS = 200
BACKOFF_SECONDS = (0.05, 2.0)
SWEEP_SECONDS = 1.0
SWEEP_ALL_SECONDS = 60.0
YOUNG_SECONDS = 60.0
ANY_AGE_SECONDS = 1e9
TRIM_SECONDS = 5.0
SWEEPER = 0
"""The shard whose worker also sweeps the waiting room, so that one aggregator at a time does."""


class Worker:
    """Counts one shard until its lease is lost or `stop` is called; a flush that has begun is finished."""

    def __init__(
        self,
        pool: Pool,
        client: redis.asyncio.Redis,
        flusher: Flusher,
        lease: Lease,
        settings: AggregatorSettings,
        counters: metrics.AggregatorMetrics,
        resolver: Resolver,
    ) -> None:
        self.lease = lease
        self._resolver = resolver
        self._pool = pool
        self._flusher = flusher
        self._settings = settings
        self._counters = counters
        self._reader = StreamReader(client, lease.shard, lease.position)
        self._publisher = LivePublisher(client, pool, lease.shard)
        self._limit = settings.batch_records
        self._trouble = TroubleLog(shard=lease.shard)
        self._stopping = False
        self._counted_until = time.time()
        self._due = {"sweep": 0.0, "sweep_all": 0.0, "trim": time.monotonic() + TRIM_SECONDS}

    def stop(self) -> None:
        """End after the flush in hand."""
        self._stopping = True

    async def run(self) -> None:
        """Count until stopped; returns when the lease is lost. Failures are logged and tried again."""
        shard = str(self.lease.shard)
        self._counters.lag_seconds.labels(shard).set_function(lambda: time.time() - self._counted_until)
        try:
            await self._run()
        finally:
            self._counters.lag_seconds.remove(shard)

    async def _run(self) -> None:
        delay = BACKOFF_SECONDS[0]
        sound = True
        while not self._stopping:
            try:
                if not sound:
                    await self._recover()
                sound = True
                await self._publisher.publish({})
                while not self._stopping:
                    await self._round()
                    self._trouble.over("shard counts again")
                    delay = BACKOFF_SECONDS[0]
            except LeaseLost as error:
                logs.get().warning("lease lost", lease=str(error))
                return
            except StreamSetBack as error:
                await self._start_over(error)
            except SERIALIZATION:
                sound = False
                self._counters.retries.labels("serialization").inc()
            except Exception as error:
                sound = False
                self._counters.retries.labels("connection" if isinstance(error, TROUBLE) else "error").inc()
                self._trouble.failed("shard stalls, trying again", error)
                await asyncio.sleep(delay * random.uniform(0.5, 1.5))
                delay = min(2 * delay, BACKOFF_SECONDS[1])

    async def _recover(self) -> None:
        """Read on from where Postgres stands: that also tells whether a commit that was cut off took place."""
        position = await self._pool.fetchval(QUERIES["position"], self.lease.shard, self.lease.epoch)
        if position is None:
            raise LeaseLost(f"shard {self.lease.shard}, epoch {self.lease.epoch}")
        self.lease.position = self._reader.position = position
        self._publisher.suspect()

    async def _start_over(self, error: StreamSetBack) -> None:
        logs.get().error("stream set back; reading it again from its beginning", reason=str(error))
        self._counters.stream_regressions.inc()
        await self._move("0-0")

    async def _round(self) -> None:
        entries = await self._reader.read(self._limit, BLOCK_MS)
        began, read_at = time.monotonic(), time.time()
        if entries:
            batches = [unpack(entry) for entry in entries]
            size = sum(len(batch.records) for batch in batches)
            await self._commit(batches, entries[-1].id.decode())
            if size >= self._limit:  # more waits: counted up to when the last entry was appended
                read_at = int(entries[-1].id.partition(b"-")[0]) / 1000
            self._size_next(size, time.monotonic() - began)
        self._counted_until = read_at
        if self.lease.shard == SWEEPER:
            await self._sweep()
        if self._is_due("trim", TRIM_SECONDS):
            await self._reader.trim(self.lease.position)
        if entries:
            await asyncio.sleep(max(0.0, began + self._settings.flush_pause - time.monotonic()))

    def _size_next(self, size: int, seconds: float) -> None:
        """Let the next flush take about `flush_seconds`, judged by a full one; never below a quarter of the most."""
        self._counters.flush_seconds.observe(seconds)
        most = self._settings.batch_records
        if size >= self._limit:
            self._limit = min(most, max(1, most // 4, int(size * self._settings.flush_seconds / seconds)))

    async def _commit(self, batches: list[Batch], position: str) -> None:
        async with self._pool.acquire() as connection:
            try:
                outcome = await self._flusher.flush(connection, self.lease, batches, position)
            except REFUSALS as error:
                await self._make_acceptable(connection, batches, error)
                outcome = await self._flusher.flush(connection, self.lease, batches, position)
        self.lease.position = position
        await self._done(outcome)

    async def _make_acceptable(self, connection: Connection, batches: list[Batch], error: Exception) -> None:
        """Make sure that the partitions are there, then take out of `batches` the records that are refused still.

        Raises `error` if no single record is to blame.
        """
        await partitions.ensure_now(connection)
        found = [record for batch in batches for record in batch.records]
        if await self._flusher.accepts(connection, self.lease, found):
            return
        refused = {id(record) for record in await self._refused(connection, found)}
        if not refused:
            raise error
        logs.get().error("records refused", shard=self.lease.shard, n=len(refused), reason=str(error))
        for batch in batches:
            bad = [record for record in batch.records if id(record) in refused]
            batch.records = [record for record in batch.records if id(record) not in refused]
            batch.rejected += [reject(record, f"refused: {error}"[:200], batch.id) for record in bad]

    async def _refused(self, connection: Connection, found: list[Record]) -> list[Record]:
        """Those of `found`, which are refused together, that are refused alone: by halving."""
        if len(found) <= 1:
            return found
        middle = len(found) // 2
        refused: list[Record] = []
        for half in (found[:middle], found[middle:]):
            if not await self._flusher.accepts(connection, self.lease, half):
                refused += await self._refused(connection, half)
        return refused

    async def _sweep(self) -> None:
        if self._is_due("sweep_all", SWEEP_ALL_SECONDS):
            which, age = "sweep_all", ANY_AGE_SECONDS
        elif self._is_due("sweep", SWEEP_SECONDS):
            which, age = "sweep", YOUNG_SECONDS
        else:
            return
        async with self._pool.acquire() as connection:
            outcome = await self._flusher.sweep(connection, self.lease, age)
            adopted, more = await self._flusher.adopt(connection, self.lease)
        await self._done(outcome)
        await self._done(adopted)
        if outcome.hits + outcome.events >= SWEEP_LIMIT or more:
            self._due[which] = 0.0  # after an outage there may be many more

    async def _move(self, position: str) -> None:
        lease = self.lease
        if await self._pool.fetchval(QUERIES["advance"], lease.shard, lease.epoch, lease.position, position) is None:
            raise LeaseLost(f"shard {lease.shard}, epoch {lease.epoch}")
        lease.position = self._reader.position = position
        self._publisher.suspect()

    async def _done(self, outcome: Outcome) -> None:
        for kind in ("hit", "event", "registration", "campaign"):
            self._counters.records.labels(kind).inc(getattr(outcome, f"{kind}s"))
        self._counters.records.labels("purchase").inc(outcome.contacts.purchases)
        self._counters.records.labels("custom").inc(outcome.contacts.custom)
        self._counters.duplicates.labels("purchase").inc(len(outcome.contacts.repeated))
        self._counters.unregistered.labels("made").inc(outcome.made)
        self._counters.unregistered.labels("registered").inc(outcome.adopted)
        self._counters.dead_letters.inc(outcome.dead_letters)
        for reason, n in outcome.judged.items():
            self._counters.judged_clicks.labels(reason).inc(n)
        if outcome.contacts.purchases or outcome.contacts.repeated:
            self._resolver.tell(outcome.contacts.repeated)
        await self._publisher.publish(outcome.live)

    def _is_due(self, what: str, seconds: float) -> bool:
        if time.monotonic() < self._due[what]:
            return False
        self._due[what] = time.monotonic() + seconds
        return True
