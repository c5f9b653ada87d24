"""Waits for the attribution of purchases by the aggregator: one loop asks Redis for all that are pending."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from postmeter.shared.process import logs
from postmeter.shared.stream import conversions
from postmeter.shared.stream.conversions import Attribution
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.shared.stream.streams import purchase_answer

MOST = 512
"""Purchases that may wait at once."""
PAUSES = (0.004, 0.1)


class Attributions:
    """Knows purchases by the key under which their answer will be."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: dict[str, set[asyncio.Future[Attribution]]] = {}
        self._pause = PAUSES[0]
        self._asking: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether no more purchases may wait."""
        return len(self._waiting) >= MOST

    async def known(self, workspace: int, event_id: str) -> Attribution | None:
        """The answer to a purchase, if there is one; None also if Redis does not answer."""
        try:
            value = await self._redis.get(purchase_answer(workspace, event_id))
        except FAILURES:
            return None
        return None if value is None else conversions.decode(value)

    async def wait(self, workspace: int, event_id: str, seconds: float) -> Attribution | None:
        """The answer to a purchase that comes within that time, or None."""
        key = purchase_answer(workspace, event_id)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(waiter)
        self._pause = PAUSES[0]
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        try:
            return await asyncio.wait_for(waiter, seconds)
        except TimeoutError:
            return None
        finally:
            others = self._waiting.get(key, set())
            others.discard(waiter)
            if not others:
                self._waiting.pop(key, None)

    async def _ask(self) -> None:
        """Ask until nobody waits any more; less often the longer the last one has waited."""
        while self._waiting:
            await asyncio.sleep(self._pause)
            self._pause = min(1.3 * self._pause, PAUSES[1])
            keys = list(self._waiting)
            try:
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for key in keys:
                        pipeline.get(key)
                    found = await pipeline.execute()
            except FAILURES as failure:
                logs.get().debug("answers to purchases cannot be read", error=logs.words(failure))
                continue
            for key, value in zip(keys, found, strict=True):
                for waiter in self._waiting.pop(key, ()) if value is not None else ():
                    if not waiter.done():
                        waiter.set_result(conversions.decode(value))
