"""Group commit: hits that arrive while an append is in flight form the next batch.

A batch goes to the shards of its records, a part to each, all of them in one write. The ids and bytes of the parts are
fixed before the first attempt, and the spool reuses both, so that the aggregator recognises a part that Redis has
twice. A batch is answered when Redis has acknowledged all of it or it is synced in the spool. If both fail it waits in
memory, for PATIENCE at most, with the batches that form meanwhile behind it; then its hits are answered all the same,
marked and counted as dropped (ADR 0026).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from postmeter.shared.errors import Unavailable
from postmeter.shared.process import logs
from postmeter.shared.process.logs import Seldom
from postmeter.shared.stream import records
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.tracking.durable.appender import Appender, TooFewReplicas
from postmeter.tracking.durable.batch import KINDS, MAX_BYTES, MAX_RECORDS, Keyed, Kind, PendingBatch
from postmeter.tracking.durable.segment import Spooled
from postmeter.tracking.durable.shard_count import ShardCount
from postmeter.tracking.durable.spool import Spool, SpoolFull
from postmeter.tracking.metrics import TrackingMetrics

# Seconds that a batch waits for Redis or the spool to take it. With as many for the batch before it, and that is all,
# an answer comes before the gateway, a mail client or a person gives up.
PATIENCE = 2.0
RETRY_SECONDS = 0.1
# API writes wait for room while this many batches of theirs are queued.
MAX_QUEUED = 64


class NotStored(Unavailable):
    """Records that neither Redis nor the spool has taken; `reason` is the metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__("Storage is not available; try again later.")
        self.reason = reason


class Committer:
    """Owns the appenders to Redis and the spool; `hits` is the batch that takes the next hit."""

    def __init__(
        self, appenders: list[Appender], spool: Spool, metrics: TrackingMetrics, producer: str, shards: ShardCount
    ) -> None:
        self.hits = PendingBatch()
        self.redis_up = True
        # What Redis lacks, and what it last failed with, an append or a ping; none while it takes batches.
        self._lack: str | None = None
        self._failure: str | None = None
        self.trouble = asyncio.Event()
        self._writes: deque[PendingBatch] = deque()
        self._room = asyncio.Event()
        self._taken = asyncio.Event()
        self._idle = list(appenders)
        self._spool = spool
        self._metrics = metrics
        self._recorded = {kind: metrics.hits.labels(kind) for kind in KINDS}
        self._streamed, self._spooled = metrics.batches.labels("stream"), metrics.batches.labels("spool")
        self._answered, self._marked = metrics.answered.labels("recorded"), metrics.answered.labels("dropped")
        self._hits_streamed, self._hits_spooled = metrics.stored.labels("stream"), metrics.stored.labels("spool")
        self._producer = producer
        self._shards = shards
        self._sequence = 0
        self._scheduled = self._writes_turn = self._given_up = False
        self._losses = Seldom("hits answered but not recorded: Redis and the spool take nothing")
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def lack(self) -> str | None:
        """Why batches are spooled, where it is for lack of replicas; else None."""
        return self._lack

    def note(self, failure: BaseException) -> None:
        """Why Redis does not take batches now: after a fail-over it is another reason than before."""
        if self._failure is None:
            logs.get().warning("Redis does not take batches; spooling", error=logs.words(failure))
        self._lack, self._failure = None, logs.words(failure)
        if isinstance(failure, TooFewReplicas):
            self._lack = f"hits are spooled: {failure}; see which replica is away, or behind"

    def recover(self) -> None:
        """Redis takes batches, or takes them again."""
        if self._failure is not None:
            logs.get().info("Redis takes batches again")
        self.redis_up, self._lack, self._failure = True, None, None

    @property
    def refused(self) -> str | None:
        """That batches are spooled for another reason, or would be: also where none has come yet."""
        if self._failure is None or self._lack is not None:
            return None
        return (
            f"Redis takes no hits: {self._failure}; {self._spool.waiting} bytes wait in POSTMETER_SPOOL_DIR, not lost:"
            " bring Redis back, give it memory, or correct POSTMETER_REDIS_URL"
        )

    @property
    def full(self) -> bool:
        """Whether hits have to wait until `hits` is a new batch."""
        return len(self.hits.records) >= MAX_RECORDS or self.hits.bytes >= MAX_BYTES

    def schedule(self) -> None:
        """Make sure that what has been put into `hits` is appended soon."""
        if not self._scheduled and self._idle:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    async def append(self, keyed: Sequence[Keyed], *, behind: bool = False) -> None:
        """Return once the records are durable. Raises NotStored if they cannot be made so.

        behind: they come into the streams after everything that this
        process has answered before, also after what waits in the spool. The records are not one transaction.
        """
        if not keyed:
            return
        while len(self._writes) >= MAX_QUEUED:
            self._room.clear()
            await self._room.wait()
        size = sum(len(record) for _, record in keyed)
        if self.hits.takes(size):
            batch = self.hits
        else:
            batch = next((queued for queued in self._writes if queued.takes(size)), PendingBatch())
            if not batch.records:
                self._writes.append(batch)
        done = self._loop.create_future()
        batch.records += keyed
        batch.bytes += size
        batch.behind = batch.behind or behind
        batch.waiting.append(done)
        self.schedule()
        await done

    async def append_hit(self, record: Keyed, kind: Kind) -> str | None:
        """Return None once the hit is durable, or why it is dropped: a visitor is answered in any case."""
        while self.full:
            self._taken.clear()
            await self._taken.wait()
        batch, done = self.hits, self._loop.create_future()
        batch.records.append(record)
        batch.bytes += len(record[1])
        batch.counts[kind] += 1
        batch.waiting.append(done)
        self.schedule()
        try:
            await done
        except NotStored as failure:
            return failure.reason
        return None

    async def finish(self) -> None:
        """Return once everything taken so far is durable or dropped."""
        while self._tasks or self.hits.answers or self.hits.waiting or self._writes:
            self.schedule()
            if self._tasks:
                await asyncio.wait(self._tasks)
            else:
                await asyncio.sleep(0)

    def _flush(self) -> None:
        self._scheduled = False
        while self._idle:
            hits_wait = bool(self.hits.answers or self.hits.waiting)
            if self._writes and (self._writes_turn or not hits_wait):
                batch = self._writes.popleft()
                self._room.set()
            elif hits_wait:
                batch, self.hits = self.hits, PendingBatch()
                self._taken.set()
            else:
                return
            self._writes_turn = not self._writes_turn
            task = self._loop.create_task(self._commit(self._idle.pop(), batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _commit(self, appender: Appender, batch: PendingBatch) -> None:
        sequence = self._sequence = self._sequence + 1
        error: NotStored | None = None
        try:
            if batch.records:
                shards = self._shards.now
                parts = batch.parts(shards, sequence % shards)
                named = [
                    Spooled(shard, f"{self._producer}-{sequence}-{shard}".encode(), records.join(encoded))
                    for shard, encoded in parts.items()
                ]
                await self._keep_trying(appender, named, batch)
        except Exception as failure:
            # Whatever it is: people must still get their picture and arrive at their destination.
            error = NotStored("spool_full" if isinstance(failure, SpoolFull) else "spool_failed")
            hits = batch.hits
            self._metrics.dropped.labels(error.reason).inc(hits)
            self._losses.note(hits, records=len(batch.records), reason=logs.words(failure))
        try:
            self._answer(batch, error)
        finally:
            self._idle.append(appender)
            # Not at once: what the loop has read by now is to be in the next batch too.
            self.schedule()

    async def _keep_trying(self, appender: Appender, parts: list[Spooled], batch: PendingBatch) -> None:
        """Store a batch. Raises what the last attempt failed with; once one has waited in vain the next ones do not."""
        give_up = self._loop.time() + PATIENCE
        while True:
            try:
                await self._store(appender, parts, batch)
            except (*FAILURES, SpoolFull):
                self._given_up = self._given_up or self._loop.time() + RETRY_SECONDS > give_up
                if self._given_up:
                    raise
            else:
                self._given_up = False
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _store(self, appender: Appender, parts: list[Spooled], batch: PendingBatch) -> None:
        if self.redis_up and not (batch.behind and self._spool.waiting):
            began = time.perf_counter()
            try:
                await appender.append(parts)
            except FAILURES as failure:
                self._metrics.append_failures.inc()
                if isinstance(failure, TooFewReplicas):
                    self._metrics.unreplicated.inc()
                self.note(failure)
                self.redis_up = False
            else:
                self._metrics.append_seconds.observe(time.perf_counter() - began)
                self._streamed.inc()
                self._hits_streamed.inc(batch.hits)
                return
        self.trouble.set()
        await self._spool.write(parts)
        self._spooled.inc()
        self._hits_spooled.inc(batch.hits)
        self._metrics.spool_bytes.set(self._spool.waiting)

    def _answer(self, batch: PendingBatch, error: NotStored | None) -> None:
        # Beside what was stored and what was dropped a second account, by which both can be checked.
        (self._answered if error is None else self._marked).inc(batch.hits)
        if error is not None:
            _drop(batch, error.reason)
        else:
            for client, answer in batch.answers:
                client.send(answer, batch)
            for kind, count in batch.counts.items():
                if count:
                    self._recorded[kind].inc(count)
        for done in batch.waiting:
            if done.cancelled():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(NotStored(error.reason))
        for follower in batch.followers:
            follower.proceed()


def _drop(batch: PendingBatch, reason: str) -> None:
    """Answer the hits of a batch that is given up, marked, and in their order what records nothing, as it is."""
    for index, (client, answer) in enumerate(batch.answers):
        if index in batch.unrecorded:
            client.send(answer, batch)
        else:
            client.drop(answer, batch, reason)
