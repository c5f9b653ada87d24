"""query-service over HTTP: who asks, which handler answers, what an error looks like."""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager, nullcontext

import asyncpg
import msgspec
from aiohttp import web
from redis.asyncio import Redis

from postmeter.query.cache import entity_tags
from postmeter.query.cache.cache import Cache, KeptAnswer
from postmeter.query.cache.questions import CLOCKS
from postmeter.query.documents import misar
from postmeter.query.documents.krafter import Krafter
from postmeter.query.documents.native.message_events import MessageEvents
from postmeter.query.documents.native.message_search import MessageSearch
from postmeter.query.documents.native.query import NativeQuery
from postmeter.query.documents.native.recipient_consent import RecipientConsents
from postmeter.query.documents.native.recipient_export import RecipientExport
from postmeter.query.documents.native.workspace import AuditLog, CampaignList, DomainList, WorkspaceShown
from postmeter.query.documents.optail.messages import Messages
from postmeter.query.documents.optail.metrics import Metrics
from postmeter.query.documents.vectis import Analytics, TrackingStats
from postmeter.query.documents.workspaces import handlers as workspaces
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Scope
from postmeter.query.exports.requests import Exports
from postmeter.query.live.live import Live
from postmeter.query.metrics import QueryMetrics
from postmeter.query.requests.connection_limiter import ConnectionLimiter
from postmeter.query.requests.cursor import Cursors
from postmeter.query.requests.handler import Asked, Clock, Handler
from postmeter.shared.apis.documents import vectis
from postmeter.shared.apis.documents.exports import DOWNLOAD_PATH, EXPORT_PATH, LATEST_PATH, STATUS_PATH
from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.privacy import audit, consent, subject_requests
from postmeter.shared.apis.queries.live import LIVE_ENDPOINT
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.apis.workspace import workspace
from postmeter.shared.auth.principal import NOBODY, Principal
from postmeter.shared.auth.sealed import Seals
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.shared.http import answerer
from postmeter.shared.http.answerer import Answerer
from postmeter.shared.http.ports import Clocks
from postmeter.shared.http.server import AppRunner
from postmeter.shared.process import traces
from postmeter.shared.process.traces import Traces
from postmeter.shared.storage.postgres import Pool

MAX_HEAD = 1 << 20
MESSAGES_PATH = "/v1/messages"
REVALIDATED = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
"""Callers may keep an answer, and ask each time whether it is still good."""


def handlers(
    pool: Pool, engine: Engine, redis: Redis, secret: Secret, clock: Clock, exports: Exports, live: Live
) -> dict[str, Handler]:
    """Who answers which path."""
    optail, messages, krafter = Metrics(engine, clock), Messages(pool), Krafter(engine, clock)
    cursors = Cursors(secret)
    return {
        "/api/v1/analytics": Analytics(engine, pool, clock).handle,
        "/api/v1/tracking/stats": TrackingStats(pool, redis).handle,
        workspace.DOMAINS_PATH: DomainList(pool, cursors).handle,
        "/v1/campaigns": CampaignList(pool, cursors).handle,
        "/api/v1/mail/stats": krafter.stats,
        "/api/v1/mail/stats/daily": krafter.daily,
        "/v1/metrics": optail.series,
        "/v1/metrics/breakdown": optail.breakdown,
        "/v1/metrics/summary": optail.summary,
        MESSAGES_PATH: messages.page,
        "/v1/messages/{id}": messages.one,
        "/v1/messages/{id}/events": MessageEvents(pool).handle,
        "/v1/messages/search": MessageSearch(pool, cursors, clock).handle,
        **workspaces.handlers(engine, pool, clock),
        **misar.handlers(engine, pool, clock),
        EXPORT_PATH: exports.order,
        STATUS_PATH: exports.status,
        LATEST_PATH: exports.latest,
        DOWNLOAD_PATH: exports.download,
        LIVE_ENDPOINT.path: live.handle,
        audit.PATH: AuditLog(pool, cursors).handle,
        consent.PATH: RecipientConsents(pool).handle,
        subject_requests.EXPORT_PATH: RecipientExport(pool).handle,
        workspace.PATH: WorkspaceShown(pool).handle,
        "/v1/query": NativeQuery(engine, cursors, clock).handle,
    }


def build(
    by_path: dict[str, Handler],
    secret: Secret,
    metrics: QueryMetrics,
    limiter: ConnectionLimiter,
    cache: Cache,
    tracing: Traces = traces.OFF,
) -> web.Application:
    """The application: every endpoint of the table that this service answers. by_path: `handlers`."""
    rows = [endpoint for endpoint in ENDPOINTS if endpoint.service is Service.QUERY]
    app = web.Application()
    app.add_routes(
        Answerer(Seals(secret), metrics.requests, _explain, tracing).routes(
            rows, lambda endpoint: _served(endpoint, by_path[endpoint.path], limiter, cache)
        )
    )
    return app


def runner(application: web.Application, clocks: Clocks, stop_timeout: float) -> AppRunner:
    """What serves the application. The gateway has bounded what comes from outside; what it adds may be long:
    the principal of a domain_admin names all its domains. When a caller disconnects, the request is cancelled,
    and its statement with it.
    """
    return AppRunner(
        application, clocks, shutdown_timeout=stop_timeout, handler_cancellation=True, line=MAX_HEAD, fields=MAX_HEAD
    )


def _served(endpoint: Endpoint, handler: Handler, limiter: ConnectionLimiter, cache: Cache) -> answerer.Handler:
    """The handler, behind the cache and within its workspace's turns."""
    assert endpoint.caching is not None, f"{endpoint.path}: its row does not say how long an answer is kept"
    clock = CLOCKS[endpoint.caching]

    async def serve(given: answerer.Asked) -> web.StreamResponse:
        asked = Asked(given.request, given.principal, Scope.of(given.principal), given.text)
        if clock is None:
            async with _turn(limiter, endpoint, asked.principal, asked.request):
                return await handler(asked)
        compute = functools.partial(_compute, endpoint, handler, asked, limiter)
        return _respond(endpoint, asked, await cache.answer(clock, asked, compute))

    return serve


async def _compute(endpoint: Endpoint, handler: Handler, asked: Asked, limiter: ConnectionLimiter) -> KeptAnswer:
    async with _turn(limiter, endpoint, asked.principal, asked.request):
        response = await handler(asked)
    body = response.body if isinstance(response, web.Response) else None
    assert isinstance(body, bytes)
    assert response.status == 200  # anything else is raised
    return KeptAnswer(body, entity_tags.of(body))


def _respond(endpoint: Endpoint, asked: Asked, answer: KeptAnswer) -> web.Response:
    body = answer.body
    if endpoint.document is vectis.DOCUMENT:
        body = b'%s,"meta":%s}' % (body[:-1], msgspec.json.encode(vectis.Meta.of(asked.principal.request_id)))
    if endpoint.method != "GET":
        return web.Response(body=body, content_type="application/json")
    headers = {"ETag": answer.tag, **REVALIDATED}
    if entity_tags.matches(answer.tag, asked.request.headers.get("If-None-Match")):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type="application/json", headers=headers)


def _turn(
    limiter: ConnectionLimiter, endpoint: Endpoint, caller: Principal, request: web.Request
) -> AbstractAsyncContextManager[None]:
    if caller is NOBODY:
        return nullcontext()  # download links: the exports have connections of their own
    if endpoint.streams:
        return nullcontext()  # it takes a turn for each look-up of its own
    search = endpoint.path == MESSAGES_PATH and bool(request.query.get("search"))
    return limiter.take(caller.workspace, search=search)


def _explain(error: Exception) -> RequestError | None:
    """What the database's errors mean to a caller."""
    match error:
        case asyncpg.QueryCanceledError():
            return RequestError(504, "QUERY_TIMEOUT", "The query took too long: narrow its range or its filters.")
        case TimeoutError():  # of the whole request: its query is slow, it had to wait, or Postgres hangs
            message = "The database did not answer in time: try again, or narrow the query's range or filters."
            return RequestError(504, "QUERY_TIMEOUT", message)
        case OSError() | asyncpg.InterfaceError() | asyncpg.InternalClientError() | asyncpg.PostgresConnectionError():
            return _away()
        case asyncpg.AdminShutdownError() | asyncpg.CrashShutdownError() | asyncpg.CannotConnectNowError():
            return _away()
        case asyncpg.InsufficientResourcesError() | asyncpg.ReadOnlySQLTransactionError():  # full, or no primary
            return _away()
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():  # as /readyz says
            return _away()
        case _:
            return None


def _away() -> RequestError:
    return RequestError(503, "UNAVAILABLE", "The database does not answer; try again.", None, {"Retry-After": "1"})
