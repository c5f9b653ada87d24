"""Brings spooled batches to Redis when it is back, also those that dead processes have left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

from postmeter.shared import logs
from postmeter.shared.logs import Seldom
from postmeter.shared.metrics import TrackingMetrics
from postmeter.tracking import segment, spool
from postmeter.tracking.committer import Committer
from postmeter.tracking.lane import FAILURES, Lane
from postmeter.tracking.spool import Spool

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
# Seconds between looks for folders that dead processes have left.
ADOPT_EVERY = 15.0


class Drainer:
    """Runs beside the committer on a lane of its own; it alone decides that Redis takes batches again."""

    def __init__(
        self, lane: Lane, own: Spool, committer: Committer, metrics: TrackingMetrics, shards: int, low: int
    ) -> None:
        self._lane = lane
        self._spool = own
        self._committer = committer
        self._metrics = metrics
        self._shards = shards
        self._low = low
        self._adopted: list[tuple[Path, int]] = []
        self._faults = Seldom("the spool is not drained; trying again")

    async def run(self) -> None:
        """Drain until cancelled, whatever happens: without this no batch goes to Redis again after it was away."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self.drain()
                self._note()
                pause = FIRST_PAUSE
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._committer.trouble.wait(), ADOPT_EVERY)
            except Exception as failure:
                if isinstance(failure, FAILURES):
                    logs.get().debug("Redis is still away", error=repr(failure))
                else:
                    self._faults.note(error=repr(failure))
                with contextlib.suppress(Exception):
                    self._note()
                    await self._spool.set_aside()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def drain(self) -> None:
        """Append everything that waits. Raises one of FAILURES and keeps what is left."""
        self._committer.trouble.clear()
        self._adopted += await self._spool.adopt()
        await self._lane.ping()
        while ended := await self._spool.ended():
            for path in ended:
                await self._move(path)
            # From here on new batches go to Redis, so that the spool can run empty.
            self._committer.redis_up = True
        while self._adopted:
            folder, lock = self._adopted[-1]
            for path in segment.segments(folder):
                await self._move(path)
            if self._spool.disk_free_bytes > self._low:
                spool.remove(folder)
            # Else what is set aside in it may be all that there is for a process that starts now.
            self._adopted.pop()
            os.close(lock)
        self._committer.redis_up = True
        await self._spool.set_aside()

    def _note(self) -> None:
        """Tell how much waits, and for how long."""
        folders = [self._spool.folder, *(folder for folder, _ in self._adopted)]
        written = [at for folder in folders for at in segment.written(folder)]
        self._metrics.spool_age.set(time.time() - min(written) if written else 0)
        self._metrics.spool_bytes.set(self._spool.waiting)

    async def _move(self, path: Path) -> None:
        moved = 0
        for batch in await asyncio.to_thread(lambda: list(segment.read(path))):
            # A deployment with fewer shards than before still finds a place for old batches.
            await self._lane.append(batch.shard % self._shards, batch.batch_id, batch.packed)
            self._metrics.spool_drained.inc()
            moved += 1
        await self._spool.forget(path)
        logs.get().info("spool segment drained", segment=str(path), batches=moved)
