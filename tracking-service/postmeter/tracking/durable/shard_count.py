"""Over how many shards records are spread: what `postmeter shards set` said last, else POSTMETER_SHARDS (ADR 0050)."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from postmeter.shared.process import logs
from postmeter.shared.stream import shard_setting
from postmeter.shared.stream.redis_clients import FAILURES

LOOK_SECONDS = 2.0


class ShardCount:
    """The number as it was at most LOOK_SECONDS ago. Any is safe: whoever counts a record holds its message's slot."""

    def __init__(self, configured: int) -> None:
        self.now = self._configured = configured

    async def run(self, redis: Redis) -> None:
        """Keep it up to date until cancelled; while Redis does not answer it stays what it was."""
        task = asyncio.current_task()
        assert task is not None
        while not task.cancelling():
            try:
                said = await shard_setting.read(redis)
            except FAILURES:
                pass
            else:
                if (count := said or self._configured) != self.now:
                    logs.get().info("records go to another number of shards", shards=count, before=self.now)
                    self.now = count
            await asyncio.sleep(LOOK_SECONDS)
