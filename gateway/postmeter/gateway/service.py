"""The gateway: the one public door. Checks API keys, passes on what is allowed, answers hits whatever is down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from aiohttp import web
from prometheus_client import CollectorRegistry

from postmeter.gateway import own_endpoints
from postmeter.gateway.hits.client import HitClient
from postmeter.gateway.hits.stand_in import Hits
from postmeter.gateway.keys.holders import Keys
from postmeter.gateway.keys.pepper import Pepper
from postmeter.gateway.limits import limits, rate_limits
from postmeter.gateway.limits.limits import Limits
from postmeter.gateway.metrics import GatewayMetrics
from postmeter.gateway.own_endpoints import OwnEndpoints
from postmeter.gateway.pages.pages import Pages
from postmeter.gateway.proxy import neighbour
from postmeter.gateway.proxy.proxy import Proxy
from postmeter.gateway.proxy.sources import SourceBook
from postmeter.gateway.proxy.upstream import Upstream
from postmeter.gateway.routes import Routes
from postmeter.gateway.settings import GatewaySettings
from postmeter.shared.apis.endpoint import Service
from postmeter.shared.http import ports
from postmeter.shared.http.bodies import LargeBodies
from postmeter.shared.http.clients.connections import Connections
from postmeter.shared.http.clients.trusted_hops import TrustedHops
from postmeter.shared.http.concurrency import ConcurrencyLimiter
from postmeter.shared.http.large_answers import LargeAnswers
from postmeter.shared.http.server import Server
from postmeter.shared.links import tokens
from postmeter.shared.privacy import recipients
from postmeter.shared.process import lifecycle, logs, ops, trace_setting
from postmeter.shared.process.advice import Advice, Look, Topic
from postmeter.shared.process.metrics import HopsMetrics, new_registry
from postmeter.shared.process.traces import Traces
from postmeter.shared.storage import migrate, postgres, stores

KEY_SECONDS = 2.0
"""How long a key may take to be looked up."""
WORKSPACE_SHARE = 4
"""One workspace may hold this part of a service's turns: a quarter. So may, beside it, all its webhooks."""
SOURCE_SHARE = 2
"""One webhook source may hold a half of those."""
DOWNLOADS = 64
"""Files of exports at once. They take as long as their readers: no other request waits for one of these turns."""
LIVE = 1024
"""Live streams at once; no request waits for one of these turns."""
LIVE_SHARE = 2
"""One workspace may hold a half of them."""
DOWNLOADS_OF_ONE = 4
"""Of the same export: whoever has its link."""


async def serve(settings: GatewaySettings, stop: asyncio.Event) -> None:
    """Answer until `stop` is set, then finish what is in flight."""
    registry = new_registry()
    metrics = GatewayMetrics(registry)
    hops = TrustedHops(settings.trusted_hops, HopsMetrics(registry))
    ring = tokens.KeyRing.parse(settings.token_keys) if settings.token_keys else None
    tracing = trace_setting.of(settings, "gateway")
    async with AsyncExitStack() as held:
        held.push_async_callback(tracing.close)
        pool = await _pool(settings, tracing, held)
        pepper = Pepper(pool, settings.key_pepper)
        keys = Keys(pool, settings.key_pepper, verified=pepper.is_right)
        own = OwnEndpoints(settings, pool, await own_endpoints.connect(settings), keys, hops, registry, metrics)
        held.push_async_callback(own.close)
        proxy = _proxy(settings, pool, own, ring, hops, metrics, tracing, held)
        runner = await _runner(settings, proxy, metrics)
        checking = asyncio.create_task(pepper.until_checked())
        held.callback(checking.cancel)
        # With another pepper it does not start; where Postgres is away, it ends as soon as that is found out.
        await pepper.check()
        await recipients.check(pool, settings.recipient_hash_key, keeps=True)
        with ports.named_errors(settings.host, settings.port):
            await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
        operations = await _operations(settings, registry, pool, ring, proxy, stop)
        logs.get().info("gateway answers", port=settings.port)
        await lifecycle.stopping(settings, stop, checking)
        await runner.cleanup()
        await operations.cleanup()


async def _pool(settings: GatewaySettings, tracing: Traces, held: AsyncExitStack) -> postgres.Pool:
    """Connections that only read."""
    read_only = {"default_transaction_read_only": "on"}
    connection_class = tracing.connection_class
    pool = await postgres.connect(
        settings, "gateway", KEY_SECONDS, options=read_only, connection_class=connection_class
    )
    held.push_async_callback(postgres.close, pool)
    return pool


def _proxy(
    settings: GatewaySettings,
    pool: postgres.Pool,
    own: OwnEndpoints,
    ring: tokens.KeyRing | None,
    hops: TrustedHops,
    metrics: GatewayMetrics,
    tracing: Traces,
    held: AsyncExitStack,
) -> Proxy:
    redis = limits.client(settings.redis_url)
    held.push_async_callback(redis.aclose)
    client = HitClient(settings.tracking_url, settings.hits)
    held.callback(client.close)

    def upstream(service: Service, *turns: int) -> Upstream:
        url = {Service.TRACKING: settings.tracking_url, Service.QUERY: settings.query_url}[service]
        made = Upstream(service, url, ConcurrencyLimiter(*turns), metrics, settings.body_timeout)
        held.push_async_callback(made.close)
        return made

    share = max(1, settings.service_requests // WORKSPACE_SHARE)
    requests = settings.service_requests, share, max(1, share // SOURCE_SHARE)
    answers = LargeAnswers()
    return Proxy(
        routes=Routes(),
        callers=own.callers,
        limits=Limits(redis, rate_limits.parse(settings.rate_limits), metrics),
        pages=Pages(),
        own=own.handlers,
        sources=SourceBook(pool),
        hits=Hits(client, ring, metrics, hops, settings.internal_secret),
        upstreams={service: upstream(service, *requests) for service in (Service.TRACKING, Service.QUERY)},
        downloads=upstream(Service.QUERY, DOWNLOADS, DOWNLOADS // WORKSPACE_SHARE, DOWNLOADS_OF_ONE),
        live=upstream(Service.QUERY, LIVE, LIVE // LIVE_SHARE),
        large=LargeBodies(answers),
        answers=answers,
        secret=settings.internal_secret,
        metrics=metrics,
        hops=hops,
        traces=tracing,
    )


async def _runner(settings: GatewaySettings, proxy: Proxy, metrics: GatewayMetrics) -> web.ServerRunner:
    """It does not listen yet."""
    connections = Connections.of(settings, metrics.connections_refused)
    runner = web.ServerRunner(
        Server(proxy.handle, settings.clocks, connections), shutdown_timeout=settings.stop_timeout
    )
    await runner.setup()
    return runner


async def _operations(
    settings: GatewaySettings,
    registry: CollectorRegistry,
    pool: postgres.Pool,
    ring: tokens.KeyRing | None,
    proxy: Proxy,
    stop: asyncio.Event,
) -> web.BaseRunner:
    """The port of /metrics and /readyz."""
    # Not Redis: without it requests pass unlimited, and every gateway misses it at once.
    checks: dict[str, ops.Check] = {
        **migrate.checks(pool),
        "tracking": lambda: neighbour.check(Service.TRACKING, settings.tracking_url),
        "query": lambda: neighbour.check(Service.QUERY, settings.query_url),
    }
    known: dict[Topic, Callable[[], str | None]] = {
        "trusted_hops": proxy.hops.warning,
        "internal_secret": lambda: next(filter(None, (one.warning() for one in proxy.upstreams.values())), None),
    }
    advice = Advice(_looks(settings, pool, ring), known)
    # Without tracking-service it answers hits itself, without Postgres it passes them on, without query-service all
    # but queries works.
    return await ops.start(
        "gateway",
        settings.host,
        settings.ops_port,
        registry,
        checks,
        advice,
        settings.clocks,
        stop,
        does_without=checks,
    )


def _looks(settings: GatewaySettings, pool: postgres.Pool, ring: tokens.KeyRing | None) -> dict[Topic, Look]:
    looks: dict[Topic, Look] = {
        "clock": lambda: stores.clocks(pool),
        "recipient_hash_key": lambda: recipients.another_key(pool, settings.recipient_hash_key, keeps=True),
    }
    if ring is not None:
        looks["token_keys"] = lambda: tokens.verifiable(pool, ring, signs=False)
    return looks


def main() -> None:
    """Run the service, configured by the environment."""
    lifecycle.run("gateway", GatewaySettings, serve)
