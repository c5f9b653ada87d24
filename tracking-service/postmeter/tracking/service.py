"""tracking-service's process: what it is made of, and in which order it starts and stops."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from postmeter.shared.http import ports
from postmeter.shared.http.answerer import Answerer, Handler
from postmeter.shared.http.clients.connections import Connections
from postmeter.shared.http.server import AppRunner, Server
from postmeter.shared.links.tokens import KeyRing, verifiable
from postmeter.shared.privacy import recipients
from postmeter.shared.process import lifecycle, logs, ops
from postmeter.shared.process.advice import Advice, Look, Topic
from postmeter.shared.process.metrics import new_registry
from postmeter.shared.storage import postgres, stores
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.tracking import app
from postmeter.tracking.contacts.attributions import Attributions
from postmeter.tracking.contacts.track import Track
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.durable.spool import Spool
from postmeter.tracking.durable.uncounted import uncounted
from postmeter.tracking.hits.port import Port
from postmeter.tracking.hits.protocol import HitProtocol
from postmeter.tracking.hits.unsubscribe import Unsubscribes
from postmeter.tracking.html.instrumentation import Instrument
from postmeter.tracking.parts import Parts
from postmeter.tracking.preferences.routes import Preferences
from postmeter.tracking.settings import TrackingSettings
from postmeter.tracking.webhooks.handler import Webhooks
from postmeter.tracking.webhooks.routes import WebhookRoutes
from postmeter.tracking.webhooks.sources import registry as sources_registry
from postmeter.tracking.webhooks.sources.routes import SourceRoutes
from postmeter.tracking.writes.campaigns import Campaigns
from postmeter.tracking.writes.consents import Consents
from postmeter.tracking.writes.events import Events
from postmeter.tracking.writes.messages import Messages

BACKLOG = 4096


def main() -> None:
    """Run the service until SIGTERM."""
    lifecycle.run("tracking", TrackingSettings, serve)


async def serve(settings: TrackingSettings, stop: asyncio.Event) -> None:
    """Serve until `stop`; then answer what is pending and make it durable."""
    registry = new_registry()
    producer = secrets.token_hex(8)
    parts = await Parts.made(settings, registry, producer)
    durability = parts.durability
    connections = Connections.of(settings, parts.metrics.connections_refused)
    runner = await _runner(parts, connections)
    assert isinstance(runner.server, Server)
    committer, metrics = durability.committer, parts.metrics
    port = Port(settings, parts.policy, committer, metrics, runner.server, connections, parts.clients)
    with ports.named_errors(settings.host, settings.port):
        listener = await _listen(settings, port)
    operations = await _operations(parts, registry, stop)
    works = durability.drainer.run(), durability.spool.live(), durability.shards.run(parts.redis), parts.levels.run()
    tasks = [asyncio.create_task(work) for work in works]
    logs.get().info("serving", port=settings.port, producer=producer)
    await stop.wait()
    await _answer_what_is_pending(parts, listener, port, runner)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await operations.cleanup()
    await parts.close()
    logs.get().info("stopped")


def _handlers(parts: Parts) -> dict[tuple[str, str], Handler]:
    settings, metrics, mailboxes, redis = parts.settings, parts.metrics, parts.mailboxes, parts.redis
    committer = parts.durability.committer
    return app.handlers(
        Messages(Instrument(parts.keys, settings.base_url), committer, metrics, mailboxes, parts.levels),
        Events(committer, redis, metrics),
        Campaigns(committer),
        Consents(committer),
        Track(committer, Attributions(redis), metrics),
        WebhookRoutes(Webhooks(settings, committer, redis, metrics, mailboxes)),
        SourceRoutes(settings, parts.pool, redis),
        Unsubscribes(parts.keys, committer, metrics, parts.clients),
        Preferences(parts.keys, committer, metrics, parts.pool),
    )


async def _runner(parts: Parts, connections: Connections) -> AppRunner:
    """What answers all but the plain hits; it does not listen itself."""
    visits = app.Visits(parts.policy, parts.durability.committer, parts.clients)
    runner = AppRunner(
        app.application(Answerer(parts.seals, parts.metrics.requests), _handlers(parts), visits),
        parts.settings.clocks,
        connections,
        shutdown_timeout=parts.settings.stop_timeout,
    )
    await runner.setup()
    return runner


async def _operations(parts: Parts, registry: CollectorRegistry, stop: asyncio.Event) -> web.BaseRunner:
    """The port of /metrics and /readyz."""
    settings, spool = parts.settings, parts.durability.spool
    disk_low = partial(_disk_low, spool, settings.disk_low)
    return await ops.start(
        "tracking",
        settings.host,
        settings.ops_port,
        registry,
        {"redis_or_spool": partial(_durable, parts.redis, parts.durability.committer, spool)},
        Advice(
            _looks(settings, parts.redis, parts.pool, parts.keys),
            {
                "disk": disk_low,
                "replicas": lambda: parts.durability.committer.lack,
                "spool": lambda: parts.durability.committer.refused,
                "postgres": parts.levels.warning,
                "trusted_hops": parts.hops.warning,
            },
        ),
        settings.clocks,
        stop,
    )


async def _answer_what_is_pending(parts: Parts, listener: asyncio.Server, port: Port, runner: AppRunner) -> None:
    """And drain what is spooled, as far as there is time."""
    loop, durability = asyncio.get_running_loop(), parts.durability
    stop_timeout = parts.settings.stop_timeout
    # /readyz says so from now on; what waits is drained while new connections are still taken.
    emptied_by = loop.time() + stop_timeout
    await asyncio.gather(asyncio.sleep(parts.settings.stop_delay), durability.drainer.finish(stop_timeout))
    listener.close()
    await port.last_requests()
    port.close()
    await runner.cleanup()
    await parts.mailboxes.close()
    await durability.committer.finish()
    await port.closed(stop_timeout)
    if durability.spool.waiting:
        await durability.drainer.finish(max(0.0, emptied_by - loop.time()))


async def _durable(redis: Redis, committer: Committer, spool: Spool) -> None:
    """The check of whether hits can be kept. Raises where neither Redis nor the spool takes them."""
    try:
        await redis.ping()
        if committer.redis_up:
            return
    except FAILURES:
        pass
    spool.check()


def _disk_low(spool: Spool, least: int) -> str | None:
    free = spool.disk_free_bytes
    if free >= least:
        return None
    return (
        f"the disk of POSTMETER_SPOOL_DIR has {free} bytes free, fewer than POSTMETER_DISK_LOW ({least});"
        f" {spool.reserve_bytes} are set aside for hits: free some space"
    )


def _looks(settings: TrackingSettings, redis: Redis, pool: postgres.Pool | None, keys: KeyRing) -> dict[Topic, Look]:
    looks: dict[Topic, Look] = {
        "redis": lambda: stores.keeping(redis),
        "aggregator": lambda: uncounted(redis, settings.shards),
    }
    if pool is not None:
        looks["clock"] = lambda: stores.clocks(pool)
        looks["token_keys"] = lambda: verifiable(pool, keys, signs=True)
        looks["recipient_hash_key"] = lambda: recipients.another_key(pool, settings.recipient_hash_key, keeps=True)
        if (key := settings.source_key) is not None:
            looks["source_key"] = lambda: sources_registry.opens(pool, key)
    return looks


async def _listen(settings: TrackingSettings, port: Port) -> asyncio.Server:
    """Listen. With SO_REUSEPORT the kernel would also let another deployment's service take part of the hits."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: HitProtocol(port),
        settings.host,
        settings.port,
        reuse_port=settings.reuse_port,
        backlog=BACKLOG,
    )
