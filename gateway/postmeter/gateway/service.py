"""gateway: the one public door. Knows API keys, passes on what is allowed, answers hits whatever is down."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from aiohttp import web

from postmeter.gateway.hits.client import HitClient
from postmeter.gateway.hits.stand_in import Hits
from postmeter.gateway.keys.holders import Keys
from postmeter.gateway.keys.pepper import Pepper
from postmeter.gateway.limits import limits, rate_limits
from postmeter.gateway.limits.limits import Limits
from postmeter.gateway.pages.pages import Pages
from postmeter.gateway.people import people
from postmeter.gateway.people.people import People
from postmeter.gateway.proxy.proxy import Proxy
from postmeter.gateway.proxy.routes import Routes
from postmeter.gateway.proxy.sources import SourceBook
from postmeter.gateway.proxy.upstream import Upstream
from postmeter.gateway.settings import GatewaySettings
from postmeter.shared.apis.table import Service
from postmeter.shared.http import listening
from postmeter.shared.http.concurrency import ConcurrencyLimiter
from postmeter.shared.http.connections import Connections
from postmeter.shared.http.server import Server
from postmeter.shared.http.trusted_hops import TrustedHops
from postmeter.shared.links import tokens
from postmeter.shared.links import verifiable as links
from postmeter.shared.privacy import recipients
from postmeter.shared.process import lifecycle, logs, metrics, ops, trace_setting
from postmeter.shared.process.advice import Advice, Look
from postmeter.shared.storage import migrate, postgres, stores

KEY_SECONDS = 2.0
"""How long a key may take to be looked up."""
WORKSPACE_SHARE = 4
"""One workspace may hold this part of a service's turns: a quarter."""
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
    registry = metrics.registry()
    measured = metrics.GatewayMetrics(registry)
    ring = tokens.KeyRing.parse(settings.token_keys) if settings.token_keys else None
    tracing = trace_setting.of(settings, "gateway")
    pool = await postgres.connect(
        settings,
        "gateway",
        KEY_SECONDS,
        options={"default_transaction_read_only": "on"},
        connection_class=tracing.connection_class,
    )
    hops = TrustedHops(settings.trusted_hops, metrics.HopsMetrics(registry))
    pepper = Pepper(pool, settings.key_pepper)
    redis = limits.client(settings.redis_url)
    client = HitClient(settings.tracking_url, settings.hits)
    share = max(1, settings.service_requests // WORKSPACE_SHARE)
    urls = {Service.TRACKING: settings.tracking_url, Service.QUERY: settings.query_url}

    def upstream(service: Service, *turns: int) -> Upstream:
        return Upstream(service, urls[service], ConcurrencyLimiter(*turns), measured, settings.body_timeout)

    upstreams = {service: upstream(service, settings.service_requests, share) for service in urls}
    downloads = upstream(Service.QUERY, DOWNLOADS, DOWNLOADS // WORKSPACE_SHARE, DOWNLOADS_OF_ONE)
    live = upstream(Service.QUERY, LIVE, LIVE // LIVE_SHARE)
    keys = Keys(pool, settings.key_pepper, verified=pepper.is_right)
    persons = People(settings, pool, await people.connect(settings), keys, hops, registry, measured)
    proxy = Proxy(
        routes=Routes(),
        callers=persons.callers,
        limits=Limits(redis, rate_limits.parse(settings.rate_limits), measured),
        pages=Pages(),
        own=persons.handlers,
        sources=SourceBook(pool),
        hits=Hits(client, ring, measured, hops, settings.internal_secret),
        upstreams=upstreams,
        downloads=downloads,
        live=live,
        secret=settings.internal_secret,
        metrics=measured,
        hops=hops,
        traces=tracing,
    )
    server = Server(proxy.handle, settings.clocks, Connections.of(settings, measured.connections_refused))
    runner = web.ServerRunner(server, shutdown_timeout=settings.stop_timeout)
    await runner.setup()
    checking = asyncio.create_task(pepper.until_checked())
    try:
        # With another pepper it does not start; where Postgres is away, it ends as soon as that is found out.
        await pepper.check()
        await recipients.check(pool, settings.recipient_hash_key, keeps=True)
        with listening.named_errors(settings.host, settings.port):
            await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
        # Redis is no reason to be unready: without it requests pass unlimited, and every gateway misses it at once.
        checks: dict[str, ops.Check] = {
            **migrate.checks(pool),
            "tracking": lambda: _reach(settings.tracking_url),
            "query": lambda: _reach(settings.query_url),
        }
        advice = Advice(_looks(settings, pool, ring), {"trusted_hops": hops.warning})
        # Without tracking-service it answers hits itself, without Postgres it passes them on, without query-service all
        # but queries works.
        operations = await ops.start(
            settings.host, settings.ops_port, registry, checks, advice, settings.clocks, stop, does_without=checks
        )
        logs.get().info("gateway answers", port=settings.port)
        await lifecycle.stopping(settings, stop, checking)
        await runner.cleanup()
        await operations.cleanup()
    finally:
        checking.cancel()
        client.close()
        for one in (*upstreams.values(), downloads, live):
            await one.close()
        await persons.close()
        await redis.aclose()
        await postgres.close(pool)
        await tracing.close()


def _looks(settings: GatewaySettings, pool: postgres.Pool, ring: tokens.KeyRing | None) -> dict[str, Look]:
    looks: dict[str, Look] = {
        "clock": lambda: stores.clocks(pool),
        "recipient_hash_key": lambda: recipients.another_key(pool, settings.recipient_hash_key, keeps=True),
    }
    if ring is not None:
        looks["token_keys"] = lambda: links.verifiable(pool, ring, signs=False)
    return looks


async def _reach(url: str) -> None:
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    writer.close()


def main() -> None:
    """Run the service, configured by the environment."""
    lifecycle.run("gateway", GatewaySettings, serve)
