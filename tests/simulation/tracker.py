"""tracking-service, from the record on: what its `serve` starts and stops, without HTTP."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from postmeter.shared.auth.secret import Secret
from postmeter.tracking.durable.appender import Appender
from postmeter.tracking.durable.batch import Keyed
from postmeter.tracking.durable.committer import Committer, NotStored
from postmeter.tracking.durable.drainer import Drainer
from postmeter.tracking.durable.shard_count import ShardCount
from postmeter.tracking.durable.spool import Spool
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.parts import APPENDERS
from tests.simulation.loop import Process

URL = "redis://redis:6379"
DEADLINE = 0.3
SPOOL_BYTES = 1 << 20
STOP_SECONDS = 2.0


class Tracker:
    """One process of it. root: its host's disk."""

    def __init__(self, process: Process, root: Path, shards: int, metrics: TrackingMetrics) -> None:
        self.process = process
        self.is_ready = False
        self._root = root
        self._configured = shards
        self._metrics = metrics
        self.stop = asyncio.Event()
        self.serving = process.spawn(self._serve())

    @property
    def has_emptied(self) -> bool:
        """Whether all that it has taken is in Redis."""
        return self.is_ready and not self._spool.waiting and not list(self._root.glob("*/*.segment"))

    async def hit(self, keyed: Keyed) -> str | None:
        """As a visit of a tracking URL: None once it is durable, or why it was dropped."""
        return await self._committer.append_hit(keyed, "open")

    async def write(self, keyed: list[Keyed]) -> str | None:
        """As an API call that told events or messages."""
        try:
            await self._committer.append(keyed)
        except NotStored as failure:
            return failure.reason
        return None

    async def _serve(self) -> None:
        producer = secrets.token_hex(8)
        spool = self._spool = Spool(self._root, producer, SPOOL_BYTES, 0)
        appenders = [Appender(Secret(URL), DEADLINE) for _ in range(APPENDERS + 1)]
        shards = ShardCount(self._configured)
        committer = self._committer = Committer(appenders[1:], spool, self._metrics, producer, shards)
        drainer = Drainer(appenders[0], spool, committer, self._metrics, shards, 0)
        redis = Redis.from_url(
            URL, socket_timeout=DEADLINE, socket_connect_timeout=DEADLINE, retry=Retry(NoBackoff(), 1), protocol=2
        )
        tasks = [asyncio.create_task(work) for work in (drainer.run(), spool.live(), shards.run(redis))]
        self.is_ready = True
        await self.stop.wait()
        self.is_ready = False
        await drainer.finish(STOP_SECONDS)
        await committer.finish()
        if spool.waiting:
            await drainer.finish(STOP_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for appender in appenders:
            await appender.close()
        await redis.aclose()
        spool.close()
