"""tracking-service's process: what it is made of, and in which order it starts and stops."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from postmeter.shared.auth.sealed import Seals
from postmeter.shared.errors import SettingsError
from postmeter.shared.http import listening
from postmeter.shared.http.answerer import Answerer
from postmeter.shared.http.connections import Connections
from postmeter.shared.http.server import AppRunner, Server
from postmeter.shared.http.trusted_hops import TrustedHops
from postmeter.shared.links import verifiable as links
from postmeter.shared.links.tokens import KeyRing
from postmeter.shared.privacy import recipients
from postmeter.shared.privacy.audit import AuditMetrics
from postmeter.shared.process import lifecycle, logs, metrics, ops
from postmeter.shared.process.advice import Advice, Look
from postmeter.shared.process.settings import PostgresSettings
from postmeter.shared.storage import postgres, stores
from postmeter.shared.stream.redis_failures import FAILURES
from postmeter.tracking import app
from postmeter.tracking.contacts.attributions import Attributions
from postmeter.tracking.contacts.track import Track
from postmeter.tracking.durable.appender import Appender
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.durable.drainer import Drainer
from postmeter.tracking.durable.holder import SpoolTaken
from postmeter.tracking.durable.shard_count import ShardCount
from postmeter.tracking.durable.spool import Spool
from postmeter.tracking.hits.client import Clients
from postmeter.tracking.hits.policy import HitPolicy
from postmeter.tracking.hits.port import Port
from postmeter.tracking.hits.protocol import HitProtocol
from postmeter.tracking.hits.unsubscribe import Unsubscribes
from postmeter.tracking.html.instrumentation import Instrument
from postmeter.tracking.preferences.routes import Preferences
from postmeter.tracking.recipients.mailboxes import Mailboxes
from postmeter.tracking.settings import TrackingSettings
from postmeter.tracking.webhooks import registry as sources_registry
from postmeter.tracking.webhooks.handler import Webhooks
from postmeter.tracking.webhooks.routes import WebhookRoutes
from postmeter.tracking.webhooks.source_routes import SourceRoutes
from postmeter.tracking.writes.campaigns import Campaigns
from postmeter.tracking.writes.consents import Consents
from postmeter.tracking.writes.events import Events
from postmeter.tracking.writes.levels import MessageLevels
from postmeter.tracking.writes.messages import Messages

# More than two batches in flight make them smaller, not faster.
APPENDERS = 2
SOURCE_CONNECTIONS = 2
SOURCE_SECONDS = 5.0
"""For a statement about webhook sources or what recipients allow."""
BACKLOG = 4096


def main() -> None:
    """Run the service until SIGTERM."""
    lifecycle.run("tracking", TrackingSettings, serve)


async def serve(settings: TrackingSettings, stop: asyncio.Event) -> None:
    """Serve until `stop`; then answer what is pending and make it durable."""
    loop = asyncio.get_running_loop()
    registry = metrics.registry()
    figures = metrics.TrackingMetrics(registry)
    AuditMetrics(registry)
    keys = KeyRing.parse(settings.token_keys)
    mailboxes = Mailboxes.configured(settings, figures)
    producer = secrets.token_hex(8)
    spool = _spool(settings, producer)
    appenders = [Appender(settings.redis_url, settings.append_deadline) for _ in range(APPENDERS + 1)]
    shards = ShardCount(settings.shards)
    committer = Committer(appenders[1:], spool, figures, producer, shards)
    figures.spool_limit.set(settings.spool_bytes)
    figures.spool_disk_low.set(settings.disk_low)
    figures.spool_reserve.set_function(lambda: spool.reserve_bytes)
    figures.spool_disk_free.set_function(lambda: spool.disk_free_bytes)
    drainer = Drainer(appenders[0], spool, committer, figures, shards, settings.disk_low)
    redis = Redis.from_url(
        settings.redis_url.reveal(),
        socket_timeout=settings.append_deadline,
        socket_connect_timeout=settings.append_deadline,
        retry=Retry(NoBackoff(), 1),  # a connection that Redis closed while it was idle
    )
    policy, seals = HitPolicy(keys, figures), Seals(settings.internal_secret)
    pool = await _pool(settings)
    await recipients.check(pool, settings.recipient_hash_key, keeps=True)
    levels = MessageLevels(pool)
    hops = TrustedHops(settings.trusted_hops, metrics.HopsMetrics(registry))
    clients = Clients(seals, hops)
    visits = app.Visits(policy, committer, clients)
    handlers = app.handlers(
        Messages(Instrument(keys, settings.base_url), committer, figures, mailboxes, levels),
        Events(committer, redis, figures),
        Campaigns(committer),
        Consents(committer),
        Track(committer, Attributions(redis), figures),
        WebhookRoutes(Webhooks(settings, committer, redis, figures, mailboxes)),
        SourceRoutes(settings, pool, redis),
        Unsubscribes(keys, committer, figures, clients),
        Preferences(keys, committer, figures, pool),
    )
    connections = Connections.of(settings, figures.connections_refused)
    runner = AppRunner(
        app.application(Answerer(seals, figures.requests), handlers, visits),
        settings.clocks,
        connections,
        shutdown_timeout=settings.stop_timeout,
    )
    await runner.setup()
    assert isinstance(runner.server, Server)
    port = Port(settings, policy, committer, figures, runner.server, connections, clients)

    with listening.named_errors(settings.host, settings.port):
        listener = await _listen(settings, port)
    ops_runner = await ops.start(
        settings.host,
        settings.ops_port,
        registry,
        {"redis_or_spool": partial(_durable, redis, committer, spool)},
        Advice(
            _looks(settings, redis, pool, keys),
            {"disk": partial(_disk_low, spool, settings.disk_low), "trusted_hops": hops.warning},
        ),
        settings.clocks,
        stop,
    )
    tasks = [asyncio.create_task(work) for work in (drainer.run(), spool.live(), shards.run(redis), levels.run())]
    logs.get().info("serving", port=settings.port, producer=producer)
    await stop.wait()

    # /readyz says so from now on; what waits is drained while new connections are still taken.
    emptied_by = loop.time() + settings.stop_timeout
    await asyncio.gather(asyncio.sleep(settings.stop_delay), drainer.finish(settings.stop_timeout))
    listener.close()
    await port.last_requests()
    port.close()
    await runner.cleanup()
    await mailboxes.close()
    await committer.finish()
    await port.closed(settings.stop_timeout)
    if spool.waiting:
        await drainer.finish(max(0.0, emptied_by - loop.time()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await ops_runner.cleanup()
    for appender in appenders:
        await appender.close()
    if pool is not None:
        await postgres.close(pool)
    await redis.aclose()
    spool.close()
    logs.get().info("stopped")


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


def _looks(settings: TrackingSettings, redis: Redis, pool: postgres.Pool | None, keys: KeyRing) -> dict[str, Look]:
    looks: dict[str, Look] = {"redis": lambda: stores.keeping(redis)}
    if pool is not None:
        looks["clock"] = lambda: stores.clocks(pool)
        looks["token_keys"] = lambda: links.verifiable(pool, keys, signs=True)
        looks["recipient_hash_key"] = lambda: recipients.another_key(pool, settings.recipient_hash_key, keeps=True)
        if (key := settings.source_key) is not None:
            looks["source_key"] = lambda: sources_registry.opens(pool, key)
    return looks


async def _pool(settings: TrackingSettings) -> postgres.Pool | None:
    """For what recipients allow, and the few requests about sources; it connects when the first one comes."""
    if settings.postgres_dsn is None:
        return None
    own = PostgresSettings(postgres_dsn=settings.postgres_dsn, postgres_pool=SOURCE_CONNECTIONS)
    return await postgres.connect(own, "tracking", SOURCE_SECONDS)


def _spool(settings: TrackingSettings, producer: str) -> Spool:
    try:
        return Spool(Path(settings.spool_dir), producer, settings.spool_bytes, settings.spool_reserve)
    except SpoolTaken as error:
        raise SettingsError(f"POSTMETER_SPOOL_DIR: {error}") from None
    except OSError as error:
        place = error.filename or settings.spool_dir
        raise SettingsError(f"POSTMETER_SPOOL_DIR: {place} cannot be used: {error.strerror}") from None


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
