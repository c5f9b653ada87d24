"""One shard's loop: read what has come, count it, publish it, again."""

from __future__ import annotations

import asyncio
import random
import time

import redis.asyncio

from postmeter.aggregator.conversions.resolver import Resolver
from postmeter.aggregator.culprits import Counting
from postmeter.aggregator.errors import (
    SERIALIZATION,
    TIME_OUTS,
    TROUBLE,
    LeaseLost,
    StreamSetBack,
    in_words,
    is_of_the_data,
)
from postmeter.aggregator.flush import Flusher, Outcome
from postmeter.aggregator.live import onlookers
from postmeter.aggregator.live.totals import LivePublisher
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.stream import lease
from postmeter.aggregator.stream.batches import unpack
from postmeter.aggregator.stream.lease import Lease
from postmeter.aggregator.stream.reader import StreamReader
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.aggregator.unregistered.waiting import BEGINNING, SWEEP_LIMIT, Place
from postmeter.shared import logs, metrics, source_log
from postmeter.shared.postgres import Connection, Pool

BLOCK_MS = 200
BACKOFF_SECONDS = (0.05, 2.0)
SWEEP_SECONDS = 1.0
SWEEP_ALL_SECONDS = 60.0
YOUNG_SECONDS = 60.0
ANY_AGE_SECONDS = 1e9
TRIM_SECONDS = 5.0
STALLED_SECONDS = 30.0
"""A shard that has got nowhere for so long stands still: the log says so, and again after as long; so does /readyz."""
ADOPT_AGAIN_SECONDS = 60.0
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
        self._redis = client
        self._publisher = LivePublisher(client, pool, lease.shard)
        self._limit = settings.batch_records
        self._counting = Counting(flusher, lease, self._done)
        self._sweep_most = SWEEP_LIMIT
        self._sweep_behind: dict[str, Place] = {}
        self._trouble = TroubleLog(shard=lease.shard)
        self._adopting = TroubleLog(shard=lease.shard)
        self._stopping = False
        self._sound_at = self._said_at = time.monotonic()
        self._failure = ""
        self._counted_until = time.time()
        self._due = {"sweep": 0.0, "sweep_all": 0.0, "adopt": 0.0, "trim": time.monotonic() + TRIM_SECONDS}

    @property
    def stalled_seconds(self) -> float:
        """Seconds since it last got anywhere; below a second or two while all is well, also when nothing comes."""
        return time.monotonic() - self._sound_at

    def stalled(self) -> str | None:
        """Since when and why this shard stands still; None unless it does."""
        seconds = self.stalled_seconds
        if seconds < STALLED_SECONDS:
            return None
        why = self._failure or "it hangs"
        return f"shard {self.lease.shard} has counted nothing for {seconds:.0f} s: {why}"

    def stop(self) -> None:
        """End after the flush in hand."""
        self._stopping = True

    async def run(self) -> None:
        """Count until stopped; returns when the lease is lost. Failures are logged and tried again."""
        shard = str(self.lease.shard)
        self._counters.lag_seconds.labels(shard).set_function(lambda: time.time() - self._counted_until)
        self._counters.stalled_seconds.labels(shard).set_function(lambda: self.stalled_seconds)
        try:
            await self._run()
        finally:
            self._counters.lag_seconds.remove(shard)
            self._counters.stalled_seconds.remove(shard)

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
            except SERIALIZATION as error:
                sound = False
                self._counters.retries.labels("serialization").inc()
                self._fails(error)
            except Exception as error:
                sound = False
                if isinstance(error, TIME_OUTS):  # less at once may be done in time
                    self._limit = max(1, self._limit // 2)
                self._fails(error)
                self._counters.retries.labels("connection" if isinstance(error, TROUBLE) else "error").inc()
                self._trouble.failed("shard stalls, trying again", error)
                await asyncio.sleep(delay * random.uniform(0.5, 1.5))
                delay = min(2 * delay, BACKOFF_SECONDS[1])

    def _fails(self, error: Exception) -> None:
        """Note the failure, and say it where the shard stands still."""
        self._failure = in_words(error)
        now = time.monotonic()
        if now - max(self._sound_at, self._said_at) >= STALLED_SECONDS:
            self._said_at = now
            logs.get().error(
                "shard stands still: its numbers do not move; what comes waits in its stream and is not lost",
                shard=self.lease.shard,
                seconds=round(self.stalled_seconds),
                after_entry=self.lease.position,
                failure=self._failure,
                passes=isinstance(error, TROUBLE),
            )

    def _moves(self) -> None:
        self._sound_at, self._failure = time.monotonic(), ""

    async def _recover(self) -> None:
        """Read on from where Postgres stands: that also tells whether a commit that was cut off took place."""
        self.lease.position = self._reader.position = await lease.committed(self._pool, self.lease)
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
            work = [(batch, entry.id.decode()) for batch, entry in zip(batches, entries, strict=True)]
            async with self._pool.acquire() as connection:
                await self._counting.count(connection, work)
            if size >= self._limit:  # more waits: counted up to when the last entry was appended
                read_at = int(entries[-1].id.partition(b"-")[0]) / 1000
            self._size_next(size, time.monotonic() - began)
        self._counted_until = read_at
        if self.lease.shard == SWEEPER:
            await self._sweep()
        if self._is_due("trim", TRIM_SECONDS):
            await self._reader.trim(self.lease.position)
        self._moves()
        if entries:
            await asyncio.sleep(max(0.0, began + self._settings.flush_pause - time.monotonic()))

    def _size_next(self, size: int, seconds: float) -> None:
        """Let the next flush take about `flush_seconds`, judged by a full one; never below a quarter of the most."""
        self._counters.flush_seconds.observe(seconds)
        most = self._settings.batch_records
        if size >= self._limit:
            self._limit = min(most, max(1, most // 4, int(size * self._settings.flush_seconds / seconds)))

    async def _sweep(self) -> None:
        # The young first: a look at all that wait takes many rounds where it is much.
        if self._is_due("sweep", SWEEP_SECONDS):
            which, age = "sweep", YOUNG_SECONDS
        elif self._is_due("sweep_all", SWEEP_ALL_SECONDS):
            which, age = "sweep_all", ANY_AGE_SECONDS
        else:
            return
        async with self._pool.acquire() as connection:
            more = await self._sweep_waiting(connection, which, age)
            if time.monotonic() >= self._due["adopt"]:
                more = await self._adopt(connection) or more
        if more:
            self._due[which] = 0.0

    async def _sweep_waiting(self, connection: Connection, which: str, age: float) -> bool:
        """Whether there may be more. Fewer are looked at together until what cannot be counted is found."""
        most = self._sweep_most
        behind = self._sweep_behind.get(which, BEGINNING)
        try:
            outcome = await self._flusher.sweep(connection, self.lease, age, behind, most)
        except Exception as error:
            if not is_of_the_data(error):
                raise
            self._sweep_most = max(1, most // 2)
            return True
        self._sweep_most = min(SWEEP_LIMIT, 2 * most)
        self._sweep_behind[which] = outcome.sweep_behind or BEGINNING
        await self._done(outcome)
        return outcome.sweep_behind is not None

    async def _adopt(self, connection: Connection) -> bool:
        """Whether there may be more. A failure that is the data's holds up nothing but this."""
        try:
            outcome, more = await self._flusher.adopt(connection, self.lease)
        except Exception as error:
            if not is_of_the_data(error):
                raise
            self._counters.retries.labels("error").inc()
            self._adopting.failed("registered messages do not take over what was counted of them before", error)
            self._due["adopt"] = time.monotonic() + ADOPT_AGAIN_SECONDS
            return False
        self._adopting.over("registered messages take over again")
        await self._done(outcome)
        return more

    async def _move(self, position: str) -> None:
        await lease.advance(self._pool, self.lease, position)
        self.lease.position = self._reader.position = position
        self._publisher.suspect()

    async def _done(self, outcome: Outcome) -> None:
        self._moves()
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
        for source, unread in outcome.unclear.items():
            await source_log.note_unread(self._redis, source, unread)
        await self._publisher.publish(outcome.live)
        await onlookers.show(self._redis, outcome.shown)

    def _is_due(self, what: str, seconds: float) -> bool:
        if time.monotonic() < self._due[what]:
            return False
        self._due[what] = time.monotonic() + seconds
        return True
