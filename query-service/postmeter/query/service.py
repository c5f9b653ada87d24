"""query-service: reads the rollups and answers every analytics endpoint."""

from __future__ import annotations

import asyncio

from aiohttp import web
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from postmeter.query import app
from postmeter.query.cache.cache import Cache
from postmeter.query.cache.versions import Versions
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.kept_days import KeptDays
from postmeter.query.exports import service as exports
from postmeter.query.live.live import Live
from postmeter.query.metrics import AnswerMetrics, ExportMetrics, KeptDaysMetrics, LiveMetrics, QueryMetrics
from postmeter.query.requests.connection_limiter import ConnectionLimiter
from postmeter.query.requests.handler import system_clock
from postmeter.query.settings import QuerySettings
from postmeter.shared.http import ports
from postmeter.shared.privacy import recipients
from postmeter.shared.privacy.audit import AuditMetrics
from postmeter.shared.process import lifecycle, logs, ops, trace_setting
from postmeter.shared.process.advice import Advice
from postmeter.shared.process.metrics import new_registry
from postmeter.shared.storage import migrate, postgres, stores
from postmeter.shared.stream import redis_clients

READ_ONLY = {"default_transaction_read_only": "on"}
PLANS = {"plan_cache_mode": "force_custom_plan", "max_parallel_workers_per_gather": "0"}
"""What a range is worth is known only with its bounds: a plan made for any range may cost three times as much. Starting
workers costs more than most answers do, and those of one workspace would be more than its share.
"""

DAYS_SHARE = 4
"""This part of the memory for answers is for what days count that do not change (ADR 0067)."""


async def serve(settings: QuerySettings, stop: asyncio.Event) -> None:
    """Answer until `stop` is set, then finish what is in flight."""
    registry = new_registry()
    redis = redis_clients.client(settings.redis_url, socket_timeout=1.0, socket_connect_timeout=1.0)
    tracing = trace_setting.of(settings, "query")
    pool = await postgres.connect(
        settings,
        "query",
        settings.statement_timeout,
        options=READ_ONLY | PLANS,
        connection_class=tracing.connection_class,
        is_stateless=True,
    )
    export_pool = await exports.connect(settings, tracing.connection_class)
    export = exports.build(settings, export_pool, system_clock, ExportMetrics(registry))
    metrics = QueryMetrics(registry)
    AuditMetrics(registry)
    limiter = ConnectionLimiter(settings.postgres_pool, settings.statement_timeout)
    live = Live(pool, redis, limiter, LiveMetrics(registry))
    for_days = settings.answer_cache // DAYS_SHARE
    cache = Cache(Versions(pool), system_clock, settings.answer_cache - for_days, AnswerMetrics(registry))
    engine = Engine(pool, KeptDays(pool, for_days, KeptDaysMetrics(registry)))
    secret = settings.internal_secret
    by_path = app.handlers(pool, engine, redis, secret, system_clock, export.requests, live)
    application = app.build(by_path, secret, metrics, limiter, cache, tracing)
    runner = app.runner(application, settings.clocks, settings.stop_timeout)
    await runner.setup()
    try:
        await recipients.check(pool, settings.recipient_hash_key, keeps=False)
        with ports.named_errors(settings.host, settings.port):
            await web.TCPSite(runner, settings.host, settings.port).start()
        operations = await _operations(settings, registry, pool, redis, stop)
        logs.get().info("query-service answers", port=settings.port)
        await export.worker.run(stop)
        await lifecycle.stopping(settings, stop)
        await live.close()
        await runner.cleanup()
        await operations.cleanup()
    finally:
        await redis.aclose()
        await postgres.close(export_pool)
        await postgres.close(pool)
        await tracing.close()


async def _operations(
    settings: QuerySettings, registry: CollectorRegistry, pool: postgres.Pool, redis: Redis, stop: asyncio.Event
) -> web.BaseRunner:
    """The port of /metrics and /readyz."""
    checks: dict[str, ops.Check] = {**migrate.checks(pool), "redis": redis.ping}
    advice = Advice(
        {
            "clock": lambda: stores.clocks(pool),
            "recipient_hash_key": lambda: recipients.another_key(pool, settings.recipient_hash_key, keeps=False),
        }
    )
    # Without Redis it answers everything but live streams, and totals that are live are a moment older.
    return await ops.start(
        "query",
        settings.host,
        settings.ops_port,
        registry,
        checks,
        advice,
        settings.clocks,
        stop,
        does_without=("redis",),
    )


def main() -> None:
    """Run the service, configured by the environment."""
    lifecycle.run("query", QuerySettings, serve)
