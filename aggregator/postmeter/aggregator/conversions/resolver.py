"""Runs beside the shards: attributes purchases once all earlier clicks are counted, and publishes to which campaign."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

import redis.asyncio

from postmeter.aggregator import metrics
from postmeter.aggregator.conversions.attribution import attribute
from postmeter.aggregator.conversions.catching_up import CatchingUp
from postmeter.aggregator.conversions.contacts import QUERIES, Named
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.store.dimensions import Dimensions
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.stream import conversions, streams
from postmeter.shared.stream.conversions import Attribution

MOST = 500
"""Purchases of one transaction."""
LOOK_SECONDS = 1.0
"""Between looks for purchases that an aggregator left behind when it died."""
AGAIN_SECONDS = 0.05
ASKED_SECONDS = 10.0
"""How long somebody may be waiting for an answer."""
OVERDUE_SECONDS = 30.0
"""A purchase older than this does not wait for its contact's uncounted events any more."""


class Resolver:
    """One per aggregator; several never attribute the same purchase, for each locks what it attributes."""

    def __init__(
        self,
        pool: Pool,
        client: redis.asyncio.Redis,
        settings: AggregatorSettings,
        counters: metrics.AggregatorMetrics,
    ) -> None:
        self._pool = pool
        self._client = client
        self._months = settings.months()
        self._counters = counters
        self._dimensions = Dimensions(settings.series_limit, counters)
        self._catching_up = CatchingUp(pool, client)
        self._asked: dict[Named, float] = {}
        self._wake = asyncio.Event()

    def forget(self) -> None:
        """Remember no series."""
        self._dimensions.forget()

    def tell(self, repeated: Iterable[Named]) -> None:
        """Note purchases that were committed and wait to be attributed, or were repeated: somebody waits for them."""
        self._ask(repeated)
        self._wake.set()

    def _ask(self, purchases: Iterable[Named]) -> None:
        until = time.monotonic() + ASKED_SECONDS
        self._asked |= dict.fromkeys(purchases, until)

    async def run(self, stop: asyncio.Event) -> None:
        """Attribute until `stop` is set. Failures are logged and tried again."""
        trouble = TroubleLog()
        stopping = asyncio.create_task(stop.wait())
        again = AGAIN_SECONDS
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    pause = LOOK_SECONDS if await self._round(stop) else AGAIN_SECONDS
                    again = AGAIN_SECONDS
                    trouble.over("purchases are attributed again")
                except Exception as error:
                    trouble.failed("purchases wait, trying again", error)
                    pause, again = again, min(2 * again, LOOK_SECONDS)
                woken = asyncio.create_task(self._wake.wait())
                await asyncio.wait({woken, stopping}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
        finally:
            stopping.cancel()
            with suppress(asyncio.CancelledError):
                await stopping

    async def _round(self, stop: asyncio.Event) -> bool:
        """Attribute what is open. Whether nothing is left to do."""
        rows = await self._pool.fetch(QUERIES["open_purchases"], MOST)
        self._counters.purchases_open_seconds.set(max((row["waited"] for row in rows), default=0.0))
        left = False
        if rows:
            named = [(row["workspace"], row["id"]) for row in rows]
            counted = await self._catching_up.wait(stop)
            if counted is None:
                return True
            overdue = {(row["workspace"], row["id"]) for row in rows if row["waited"] > OVERDUE_SECONDS}
            if not counted:
                self._counters.purchases.labels("unwaited").inc(len(rows))
                logs.get().error("a shard stands still; purchases are attributed without it", purchases=len(rows))
            left = await self._attribute(named, overdue) < len(rows) or len(rows) == MOST
        await self._publish()
        return not left and not self._asked

    async def _attribute(self, named: list[Named], overdue: set[Named]) -> int:
        async with self._pool.acquire() as connection:
            done = await attribute(connection, self._dimensions, Horizon(self._months), named, overdue)
        self._counters.purchases.labels("attributed").inc(done.to_campaign)
        self._counters.purchases.labels("unattributed").inc(done.to_none)
        self._ask(named)
        return done.to_campaign + done.to_none

    async def _publish(self) -> None:
        """Say what became of the purchases that somebody waits for, as far as it is known."""
        while asked := dict(islice(self._asked.items(), MOST)):
            rows = await self._pool.fetch(QUERIES["answers"], *zip(*asked, strict=True))
            async with self._client.pipeline(transaction=False) as pipeline:
                for row in rows:
                    key = streams.purchase_answer(row["workspace"], row["id"])
                    answer = conversions.encode(Attribution(row["campaign"], row["digest"]))
                    pipeline.set(key, answer, ex=conversions.KEPT_SECONDS)
                await pipeline.execute()
            now, answered = time.monotonic(), {(row["workspace"], row["id"]) for row in rows}
            waiting = {named: until for named, until in asked.items() if named not in answered and until > now}
            for named in asked:
                del self._asked[named]
            self._asked |= waiting
            if not answered:
                return
