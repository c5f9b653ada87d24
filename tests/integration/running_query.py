"""Rollups as the aggregator writes them, each fact remembered so that a test can count for itself."""

import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
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
from postmeter.query.requests.handler import Clock
from postmeter.query.settings import QuerySettings
from postmeter.shared.auth import api_keys
from postmeter.shared.auth.principal import Principal
from postmeter.shared.auth.secret import Secret
from postmeter.shared.http.ports import Clocks
from postmeter.shared.storage import known_types, partitions, rollups
from tests import sealing
from tests.integration.counted_facts import raised, stored

INTERNAL = sealing.INTERNAL
PEPPER = Secret("pepper of the tests")
ANSWER_CACHE = 64 << 20
DIMENSIONS = ("campaign", "domain", "provider", "template")


@dataclass(frozen=True)
class Fact:
    """Counters that rose at one moment in one series."""

    at: datetime
    campaign: str = ""
    domain: str = "example.com"
    provider: str = ""
    template: str = ""
    counters: dict[str, int] = field(default_factory=dict)


async def ensure_months(dsn: str, first: date, last: date) -> None:
    """Partitions for moments that a test fixed, whatever today's date is."""
    connection = await asyncpg.connect(dsn)
    try:
        for table in partitions.TABLES:
            if table.key == "time" and table.width == "month":
                await partitions.ensure(connection, table, first, last)
    finally:
        await connection.close()


class Workspaces:
    """One database: workspaces, domains, keys, facts."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool

    async def workspace(self, name: str | None = None, created_at: datetime | None = None) -> int:
        name = name or uuid.uuid4().hex
        number: int = await self.pool.fetchval(
            "INSERT INTO workspace (id, name, created_at) VALUES ($1, $1, coalesce($2, now())) RETURNING number",
            name,
            created_at,
        )
        return number

    async def domain(self, workspace: int, name: str, domain_id: uuid.UUID | None = None) -> uuid.UUID:
        domain_id = domain_id or uuid.uuid4()
        await self.pool.execute(
            "INSERT INTO domain (workspace, name, id) VALUES ($1, $2, $3)", workspace, name, domain_id
        )
        return domain_id

    async def key(
        self, workspace: int, role: str = "admin", scopes: tuple[str, ...] = ("analytics",), domains: Any = None
    ) -> str:
        key_id, key = api_keys.new()
        await self.pool.execute(
            "INSERT INTO api_key (id, workspace, hmac, role, scopes, domains) VALUES ($1, $2, $3, $4, $5, $6)",
            key_id,
            workspace,
            api_keys.digest(key, PEPPER),
            role,
            list(scopes),
            domains,
        )
        return key

    async def add(self, workspace: int, *facts: Fact) -> None:
        """Every fact into every tier, in one transaction."""
        async with self.pool.acquire() as connection, connection.transaction():
            series = {}
            for combination in sorted({(f.campaign, f.domain, f.provider, f.template) for f in facts}):
                series[combination] = await connection.fetchval(
                    "INSERT INTO series (workspace, campaign, domain, provider, template) VALUES ($1, $2, $3, $4, $5)"
                    " ON CONFLICT (workspace, campaign, domain, provider, template, tags, mailbox_provider)"
                    " DO UPDATE SET campaign = EXCLUDED.campaign RETURNING id",
                    workspace,
                    *combination,
                )
            for tier in rollups.TIERS:
                cells: dict[tuple[int, datetime], Counter[str]] = {}
                for f in facts:
                    bucket = datetime.fromtimestamp(f.at.timestamp() // tier.seconds * tier.seconds, UTC)
                    for number in (rollups.TOTAL, series[f.campaign, f.domain, f.provider, f.template]):
                        cells.setdefault((number, bucket), Counter()).update(f.counters)
                columns = ", ".join(rollups.COUNTERS)
                values = ", ".join(f"${i + 4}" for i in range(len(rollups.COUNTERS)))
                await connection.executemany(
                    f"INSERT INTO {tier.table} AS activity (workspace, series, bucket, {columns})"
                    f" VALUES ($1, $2, $3, {values})"
                    f" ON CONFLICT (workspace, bucket, series) DO UPDATE SET {raised('activity', rollups.COUNTERS)}",
                    [(workspace, *place, *stored(cell, rollups.COUNTERS)) for place, cell in cells.items()],
                )


@asynccontextmanager
async def workspaces(dsn: str) -> AsyncIterator[Workspaces]:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4, connection_class=known_types.Connection) as pool:
        yield Workspaces(pool)


def sealed(workspace: int, role: str = "admin", domains: list[str] | None = None, **changes: Any) -> dict[str, str]:
    """Who asks, for `sealing.session`: the header that the gateway sends for a verified key."""
    fields: dict[str, Any] = {
        "key_id": "k",
        "workspace": workspace,
        "workspace_id": str(workspace),
        "role": role,
        "scopes": ["analytics"],
        "domains": domains,
        "request_id": "the-request",
    }
    return sealing.named(Principal(**fields | changes))


@asynccontextmanager
async def listening(runner: web.BaseRunner) -> AsyncIterator[str]:
    """The base URL of a runner while it serves on a free port."""
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def query_service(
    here: Workspaces,
    redis_url: str,
    now: datetime | Clock,
    statement_seconds: float = 8.0,
    answer_cache: int = ANSWER_CACHE,
    registry: CollectorRegistry | None = None,
    version_seconds: float = 30.0,
) -> AsyncIterator[str]:
    """The base URL of a real query-service for which it is always `now`, or what a clock says."""
    clock = (lambda: now) if isinstance(now, datetime) else now
    redis = Redis.from_url(redis_url)
    measured = QueryMetrics(CollectorRegistry())
    limiter = ConnectionLimiter(here.pool.get_max_size(), statement_seconds)
    with tempfile.TemporaryDirectory() as folder:
        export = exports.build(query_settings(export_dir=folder), here.pool, clock, ExportMetrics(CollectorRegistry()))
        live = Live(here.pool, redis, limiter, LiveMetrics(CollectorRegistry()))
        cache = kept_answers(here.pool, clock, answer_cache, registry, version_seconds)
        engine = Engine(here.pool, KeptDays(here.pool, answer_cache, KeptDaysMetrics(CollectorRegistry())))
        by_path = app.handlers(here.pool, engine, redis, INTERNAL, clock, export.requests, live)
        application = app.build(by_path, INTERNAL, measured, limiter, cache)
        try:
            async with listening(app.runner(application, Clocks(), 1.0)) as url:
                yield url
                await live.close()
        finally:
            await redis.aclose()


def kept_answers(
    pool: "asyncpg.Pool[asyncpg.Record]",
    clock: Clock,
    most: int = ANSWER_CACHE,
    registry: CollectorRegistry | None = None,
    version_seconds: float = 30.0,
) -> Cache:
    """The answers that a service keeps."""
    return Cache(Versions(pool, version_seconds), clock, most, AnswerMetrics(registry or CollectorRegistry()))


def query_settings(**given: Any) -> QuerySettings:
    """Settings of a query-service; stores that are not given lead nowhere."""
    complete: dict[str, Any] = {
        "postgres_dsn": Secret("postgresql://nowhere.invalid/"),
        "redis_url": Secret("redis://nowhere.invalid"),
        "internal_secret": INTERNAL,
        "public_gateway_url": "https://gateway.example",
        "export_dir": "/nonexistent",
        **given,
    }
    return QuerySettings(**complete)
