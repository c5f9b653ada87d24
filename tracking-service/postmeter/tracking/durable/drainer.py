"""Brings spooled batches to Redis when it is back, including those that dead processes have left."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from postmeter.shared.process import logs
from postmeter.shared.process.logs import Seldom
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.tracking.durable import segment
from postmeter.tracking.durable.appender import Appender
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.durable.segment import SegmentUnreadable, Spooled
from postmeter.tracking.durable.shard_count import ShardCount
from postmeter.tracking.durable.spool import Spool
from postmeter.tracking.metrics import TrackingMetrics

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
# Seconds between looks for folders that dead processes have left, and for segments that could not be read.
ADOPT_EVERY = 15.0


async def append(path: Path, appender: Appender, shards: int) -> AsyncIterator[Spooled]:
    """Append a segment's batches, oldest first, and give each that Redis has acknowledged.

    Raises SegmentUnreadable before the first one, and one of FAILURES; what was appended keeps its ids the next time.
    """
    for batch in await asyncio.to_thread(lambda: list(segment.read(path))):
        # A deployment with fewer shards than before still finds a place for old batches.
        await appender.append([Spooled(batch.shard % shards, batch.batch_id, batch.packed)])
        yield batch


class Drainer:
    """Runs beside the committer on an appender of its own; it alone decides that Redis takes batches again.

    A disk that fails keeps what is on it from Redis, and nothing else: other segments are drained, and new batches go
    to Redis.
    """

    def __init__(
        self,
        appender: Appender,
        own: Spool,
        committer: Committer,
        metrics: TrackingMetrics,
        shards: ShardCount,
        low: int,
    ) -> None:
        self._appender = appender
        self._spool = own
        self._committer = committer
        self._metrics = metrics
        self._shards = shards
        self._low = low
        self._adopted: list[Path] = []
        # Drained, but the disk does not let them go: not to be appended again and again.
        self._moved: set[Path] = set()
        self._turn = asyncio.Lock()
        self._faults = Seldom("the spool is not drained; trying again")
        self._disk_faults = Seldom("the disk of the spool fails; hits on it wait, and are tried again")

    async def run(self) -> None:
        """Drain until cancelled, whatever happens: without this no batch goes to Redis again after it was away."""
        pause, task = FIRST_PAUSE, asyncio.current_task()
        assert task is not None
        # Redis' client may make another error of a cancellation that meets a connection which is just closed.
        while not task.cancelling():
            try:
                await self.drain()
                pause = FIRST_PAUSE
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._committer.trouble.wait(), ADOPT_EVERY)
            except Exception as failure:
                if isinstance(failure, FAILURES):
                    self._committer.note(failure)
                    logs.get().debug("Redis is still away", error=logs.words(failure))
                else:
                    self._faults.note(error=logs.words(failure))
                with self._disk(self._spool.root):
                    self._note()
                    await self._spool.set_aside()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def drain(self) -> None:
        """Append everything that waits and can be read. Raises one of FAILURES and keeps what is left."""
        async with self._turn:
            self._committer.trouble.clear()
            with self._disk(self._spool.root):
                self._adopted += await self._spool.adopt()
            await self._appender.ping()
            left_out: set[Path] = set()
            while ended := await self._ended(left_out):
                left_out |= {path for path in ended if not await self._move(path)}
                # From here on new batches go to Redis, so that the spool can run empty.
                self._committer.recover()
            self._committer.recover()
            for folder in list(self._adopted):
                await self._empty(folder)
            with self._disk(self._spool.root):
                await self._spool.set_aside()
                self._note()

    async def finish(self, seconds: float) -> None:
        """Append what waits, for at most that long, if Redis is there; the rest stays on disk."""
        try:
            async with asyncio.timeout(seconds):
                await self.drain()
        except Exception as failure:  # whatever it is, the service goes on to stop
            if self._spool.waiting:
                logs.get().warning("hits stay in the spool", bytes=self._spool.waiting, error=logs.words(failure))

    async def _ended(self, left_out: set[Path]) -> list[Path]:
        with self._disk(self._spool.folder):
            return await self._spool.ended(left_out)
        return []

    async def _empty(self, folder: Path) -> None:
        """Append what an adopted folder holds, and let it go if that is all."""
        paths: list[Path] | None = None
        with self._disk(folder):
            paths = segment.segments(folder)
        if paths is not None and all([await self._move(path) for path in paths]):
            self._adopted.remove(folder)
            with self._disk(folder):
                # What is set aside in it may be all that there is for a process that starts on a full disk.
                await self._spool.abandon(folder, keep=self._spool.disk_free_bytes <= self._low)

    async def _move(self, path: Path) -> bool:
        """Append a segment and let it go. Returns whether it is gone; raises one of FAILURES."""
        if path not in self._moved:
            moved = 0
            try:
                async for _ in append(path, self._appender, self._shards.now):
                    self._metrics.spool_drained.inc()
                    moved += 1
            except SegmentUnreadable as fault:
                self._disk_faults.note(error=str(fault))
                return False
            self._moved.add(path)
            logs.get().info("spool segment drained", segment=str(path), batches=moved)
        with self._disk(path):
            await self._spool.forget(path)
            self._moved.remove(path)
        return path not in self._moved

    @contextlib.contextmanager
    def _disk(self, path: Path) -> Iterator[None]:
        """Around what nothing but the disk can fail."""
        try:
            yield
        except OSError as error:
            self._disk_faults.note(error=f"{path}: {error.strerror or repr(error)}")

    def _note(self) -> None:
        """Set the metrics of how much waits, and for how long."""
        written = [at for folder in (self._spool.folder, *self._adopted) for at in segment.written(folder)]
        self._metrics.spool_age.set(time.time() - min(written) if written else 0)
        self._metrics.spool_bytes.set(self._spool.waiting)
