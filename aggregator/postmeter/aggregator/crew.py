"""The workers of a process: one counts all of its shards, unless it falls behind (ADR 0073)."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Sequence
from contextlib import suppress

from postmeter.aggregator.held import Held
from postmeter.aggregator.stream.lease import Lease
from postmeter.aggregator.worker import Worker
from postmeter.shared.process import logs

GATHER_SECONDS = 300.0
"""For so long nobody has fallen behind when one worker counts everything again."""
LOOK_SECONDS = 1.0


class Crew:
    """Shares shards out among workers. behind: set by a worker that leaves something behind, or fails.

    A flush costs something whatever it holds, and one worker needs a quarter of four workers' flushes. Four count more
    at a time, and of one that waits for Postgres the others know nothing.
    """

    def __init__(
        self, workers: Sequence[Worker], behind: asyncio.Event, gather_seconds: float = GATHER_SECONDS
    ) -> None:
        self._workers = workers
        self._behind = behind
        self.gather_seconds = gather_seconds
        self._behind_at = -math.inf
        self._counted_by: dict[int, Worker] = {}
        self._moving: dict[int, Lease] = {}
        self._lock = asyncio.Lock()
        self._stopping = False

    @property
    def shards(self) -> list[int]:
        """Those that were taken and not given back, in order."""
        return sorted(self._counted_by)

    @property
    def leases(self) -> dict[int, Lease]:
        """By shard: without those that were found to be lost."""
        held = [(shard, worker.leases.get(shard)) for shard, worker in self._counted_by.items()]
        return {shard: lease for shard, lease in held if lease is not None} | self._moving

    @property
    def held(self) -> list[Held]:
        """What is counted now, and how far each is."""
        return [held for worker in self._workers for held in worker.held]

    def take(self, lease: Lease) -> None:
        """Count this shard from its position on."""
        worker = min(self._active, key=lambda worker: len(worker.leases))
        worker.take(lease)
        self._counted_by[lease.shard] = worker

    async def give(self, shards: Collection[int]) -> None:
        """Count these shards no more; returns when no flush holds them."""
        held = self.leases.keys() & set(shards)
        for shard in set(shards) - held:
            del self._counted_by[shard]
        if not held:
            return
        async with self._lock:
            for left in await asyncio.gather(*(self._counted_by.pop(shard).give(shard) for shard in held)):
                if left is not None:
                    left.close()

    async def run(self) -> None:
        """Count until `stop` is called."""
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers:
                tasks.create_task(worker.run())
            try:
                while not self._stopping:
                    await self._look()
            finally:
                self.stop()  # redis-py may lose a worker's cancellation (asyncio.wait_for does, before Python 3.12)

    async def _look(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._behind.wait()
        if self._behind.is_set():
            self._behind.clear()
            self._behind_at = time.monotonic()
        await self._share_out()

    def stop(self) -> None:
        """End after the flushes in hand."""
        self._stopping = True
        self._behind.set()
        for worker in self._workers:
            worker.stop()

    @property
    def _active(self) -> Sequence[Worker]:
        return self._workers if time.monotonic() < self._behind_at + self.gather_seconds else self._workers[:1]

    async def _share_out(self) -> None:
        """Give each shard the worker that it should have. Flushes in hand end first."""
        active = self._active
        async with self._lock:
            due = {shard: active[n % len(active)] for n, shard in enumerate(self.shards)}
            moves = [(shard, self._counted_by[shard], to) for shard, to in due.items()]
            moves = [(shard, worker, to) for shard, worker, to in moves if worker is not to]
            if moves and not self._stopping:
                logs.get().info("shards are shared out anew", workers=len(active), shards=len(due))
                await asyncio.gather(*(self._move(*move) for move in moves))

    async def _move(self, shard: int, worker: Worker, to: Worker) -> None:
        lease = worker.leases.get(shard)
        if lease is None:
            return
        self._moving[shard] = lease
        try:
            if (left := await worker.give(shard)) is not None:
                left.sound = False  # it goes on from where Postgres says that it stands
                to.take_over(left)
                self._counted_by[shard] = to
        finally:
            del self._moving[shard]
