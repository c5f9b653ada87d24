"""The aggregator: moves what the streams hold into the tables, each event exactly once."""

from __future__ import annotations

import asyncio

from postmeter.aggregator.conversions.resolver import Resolver
from postmeter.aggregator.crew import Crew
from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.fold import moments
from postmeter.aggregator.metrics import AggregatorMetrics, ErasureMetrics
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.shards import Shards
from postmeter.aggregator.store.server_run import ServerRun
from postmeter.aggregator.upkeep import day_sums, retention
from postmeter.aggregator.upkeep.blocklists import job as blocklists
from postmeter.aggregator.upkeep.erasure.job import Erasures
from postmeter.aggregator.upkeep.workspace_retention import WorkspaceRetention
from postmeter.aggregator.worker import Worker
from postmeter.shared.errors import SettingsError
from postmeter.shared.process import lifecycle, logs, ops
from postmeter.shared.process.advice import Advice
from postmeter.shared.process.metrics import new_registry
from postmeter.shared.storage import migrate, postgres, stores
from postmeter.shared.stream import redis_clients, shard_setting

STATEMENT_SECONDS = 20.0
WORKERS = 4
"""At most, where one falls behind. While Postgres works for some, another decodes and folds (ADR 0065)."""
OTHER_CONNECTIONS = 6
"""Beside one for each worker: for leases, retention, sums of days, erasures, look-ups of sending IPs, purchases."""
LEAST_WORKERS = 2


async def serve(settings: AggregatorSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; flushes in hand are finished and the shards given back."""
    count = min(WORKERS, settings.postgres_pool - OTHER_CONNECTIONS)
    if count < LEAST_WORKERS:
        least = LEAST_WORKERS + OTHER_CONNECTIONS
        raise SettingsError(f"POSTMETER_POSTGRES_POOL must be at least {least} for the aggregator")
    registry = new_registry()
    counters = AggregatorMetrics(registry)
    server = ServerRun()
    pool = await postgres.connect(settings, "aggregator", STATEMENT_SECONDS, server.prepare, moments.PLANS)
    client = redis_clients.client(settings.redis_url, protocol=2, socket_timeout=5.0)
    flusher = Flusher(settings, counters)
    removed = ErasureMetrics(registry)
    resolver = Resolver(pool, client, settings, counters)
    behind = asyncio.Event()
    workers = [Worker(pool, client, flusher, settings, counters, resolver, behind) for _ in range(count)]
    crew = Crew(workers, behind)
    server.changed += [flusher.forget, resolver.forget, *(worker.doubt for worker in workers)]
    shards = Shards(pool, settings, counters, crew, lambda: shard_setting.read(client))
    checks: dict[str, ops.Check] = {
        **migrate.checks(pool),
        "redis": client.ping,
        "shards": shards.check,
    }
    advice = Advice(
        {"redis": lambda: stores.keeping(client), "clock": lambda: stores.clocks(pool)}, {"shards": shards.warning}
    )
    runner = await ops.start(
        "aggregator", settings.host, settings.ops_port, registry, checks, advice, settings.clocks, stop
    )
    logs.get().info("aggregator runs", shards=settings.shards)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(shards.run(stop))
            tasks.create_task(crew.run())
            tasks.create_task(resolver.run(stop))
            tasks.create_task(flusher.networks.run(stop))
            tasks.create_task(flusher.agents.run(stop))
            tasks.create_task(flusher.onlookers.run(client, stop))
            workspaces = WorkspaceRetention(flusher.memory, removed, settings.retain_audit)
            tasks.create_task(retention.run(pool, settings, workspaces, stop))
            tasks.create_task(day_sums.run(pool, stop))
            tasks.create_task(Erasures(pool, client, flusher.memory, removed).run(stop))
            tasks.create_task(blocklists.run(pool, settings, counters, stop))
    finally:
        await runner.cleanup()
        await client.aclose()
        await pool.close()


def main() -> None:
    """The process's entry point."""
    # A flush makes a hundred thousand tuples that live for a moment and hold no cycles.
    lifecycle.run("aggregator", AggregatorSettings, serve, young=500_000)
