"""The aggregator's counting: what its `serve` starts and stops, without its ops port and its upkeep."""

from __future__ import annotations

import asyncio
from typing import Any

import redis.asyncio

from postmeter.aggregator.conversions.resolver import Resolver
from postmeter.aggregator.crew import Crew
from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.service import WORKERS
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.shards import Shards
from postmeter.aggregator.worker import Worker
from postmeter.shared.auth.secret import Secret
from postmeter.shared.stream import shard_setting
from tests.simulation.loop import Process
from tests.simulation.network import Network
from tests.simulation.postgres.connection import Pool

URL = "redis://redis:6379"
LEASE_SECONDS = 1.0
GATHER_SECONDS = 2.0


class Aggregator:
    """One process of it."""

    def __init__(self, process: Process, network: Network, shards: int, metrics: AggregatorMetrics) -> None:
        self.process = process
        self._network = network
        self._metrics = metrics
        self._settings = AggregatorSettings(
            postgres_dsn=Secret("postgresql://postgres/simulated"),
            redis_url=Secret(URL),
            shards=shards,
            lease_seconds=LEASE_SECONDS,
            message_cache=10,
            postgres_pool=8,
        )
        self.stop = asyncio.Event()
        self.serving = process.spawn(self._serve())

    async def _serve(self) -> None:
        settings, counters = self._settings, self._metrics
        pool: Any = Pool(self._network, settings.postgres_pool)
        client = redis.asyncio.Redis.from_url(URL, protocol=2, socket_timeout=5.0)
        flusher = Flusher(settings, counters)
        resolver = Resolver(pool, client, settings, counters)
        behind = asyncio.Event()
        workers = [Worker(pool, client, flusher, settings, counters, resolver, behind) for _ in range(WORKERS)]
        crew = Crew(workers, behind, GATHER_SECONDS)
        shards = Shards(pool, settings, counters, crew, lambda: shard_setting.read(client))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(shards.run(self.stop))
            tasks.create_task(crew.run())
        await client.aclose()
        await pool.close()
