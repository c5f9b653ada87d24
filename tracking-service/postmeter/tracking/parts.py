"""What tracking-service is made of, before it takes a connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from postmeter.shared.auth.sealed import Seals
from postmeter.shared.errors import SettingsError
from postmeter.shared.http.clients.trusted_hops import TrustedHops
from postmeter.shared.links.tokens import KeyRing
from postmeter.shared.privacy import recipients
from postmeter.shared.privacy.audit import AuditMetrics
from postmeter.shared.process.metrics import HopsMetrics
from postmeter.shared.process.settings import PostgresSettings
from postmeter.shared.storage import postgres
from postmeter.shared.stream import redis_clients
from postmeter.tracking.durable.appender import Appender
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.durable.drainer import Drainer
from postmeter.tracking.durable.holder import SpoolTaken
from postmeter.tracking.durable.shard_count import ShardCount
from postmeter.tracking.durable.spool import Spool
from postmeter.tracking.hits.client import Clients
from postmeter.tracking.hits.policy import HitPolicy
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.recipients.mailboxes import Mailboxes
from postmeter.tracking.settings import TrackingSettings
from postmeter.tracking.writes.levels import MessageLevels

# More than two batches in flight make them smaller, not faster.
APPENDERS = 2
SOURCE_CONNECTIONS = 2
SOURCE_SECONDS = 5.0
"""For a statement about webhook sources or what recipients allow."""


@dataclass(frozen=True)
class Durability:
    """What makes records durable: Redis, or the spool until Redis is back. appenders: the first is the drainer's."""

    spool: Spool
    appenders: list[Appender]
    shards: ShardCount
    committer: Committer
    drainer: Drainer


@dataclass(frozen=True)
class Parts:
    """What the service is made of, before it takes a connection."""

    settings: TrackingSettings
    metrics: TrackingMetrics
    keys: KeyRing
    mailboxes: Mailboxes
    durability: Durability
    redis: Redis
    policy: HitPolicy
    seals: Seals
    pool: postgres.Pool | None
    levels: MessageLevels
    hops: TrustedHops
    clients: Clients

    @classmethod
    async def made(cls, settings: TrackingSettings, registry: CollectorRegistry, producer: str) -> Self:
        """Make all of it. Raises SettingsError for what cannot work."""
        metrics = TrackingMetrics(registry)
        AuditMetrics(registry)
        keys = KeyRing.parse(settings.token_keys)
        mailboxes = Mailboxes.configured(settings, metrics)
        durability = _durability(settings, metrics, producer)
        redis = _redis(settings)
        seals = Seals(settings.internal_secret)
        pool = await _pool(settings)
        await recipients.check(pool, settings.recipient_hash_key, keeps=True)
        hops = TrustedHops(settings.trusted_hops, HopsMetrics(registry))
        return cls(
            settings=settings,
            metrics=metrics,
            keys=keys,
            mailboxes=mailboxes,
            durability=durability,
            redis=redis,
            policy=HitPolicy(keys, metrics),
            seals=seals,
            pool=pool,
            levels=MessageLevels(pool),
            hops=hops,
            clients=Clients(seals, hops),
        )

    async def close(self) -> None:
        """Close all of it, once nobody uses it any more."""
        for appender in self.durability.appenders:
            await appender.close()
        if self.pool is not None:
            await postgres.close(self.pool)
        await self.redis.aclose()
        self.durability.spool.close()


def _durability(settings: TrackingSettings, metrics: TrackingMetrics, producer: str) -> Durability:
    spool = _spool(settings, producer)
    to = settings.redis_url, settings.append_deadline, settings.wait_replicas
    appenders = [Appender(*to) for _ in range(APPENDERS + 1)]
    shards = ShardCount(settings.shards)
    committer = Committer(appenders[1:], spool, metrics, producer, shards)
    metrics.spool_limit.set(settings.spool_bytes)
    metrics.spool_disk_low.set(settings.disk_low)
    metrics.spool_reserve.set_function(lambda: spool.reserve_bytes)
    metrics.spool_disk_free.set_function(lambda: spool.disk_free_bytes)
    drainer = Drainer(appenders[0], spool, committer, metrics, shards, settings.disk_low)
    return Durability(spool, appenders, shards, committer, drainer)


def _redis(settings: TrackingSettings) -> Redis:
    return redis_clients.client(
        settings.redis_url,
        socket_timeout=settings.append_deadline,
        socket_connect_timeout=settings.append_deadline,
        retry=Retry(NoBackoff(), 1),  # a connection that Redis closed while it was idle
    )


def _spool(settings: TrackingSettings, producer: str) -> Spool:
    try:
        return Spool(Path(settings.spool_dir), producer, settings.spool_bytes, settings.spool_reserve)
    except SpoolTaken as error:
        raise SettingsError(f"POSTMETER_SPOOL_DIR: {error}") from None
    except OSError as error:
        place = error.filename or settings.spool_dir
        raise SettingsError(f"POSTMETER_SPOOL_DIR: {place} cannot be used: {error.strerror}") from None


async def _pool(settings: TrackingSettings) -> postgres.Pool | None:
    """For what recipients allow, and the few requests about sources; it connects when the first one comes."""
    if settings.postgres_dsn is None:
        return None
    own = PostgresSettings(postgres_dsn=settings.postgres_dsn, postgres_pool=SOURCE_CONNECTIONS)
    return await postgres.connect(own, "tracking", SOURCE_SECONDS)
