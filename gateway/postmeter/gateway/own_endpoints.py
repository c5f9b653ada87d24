"""The endpoints that the gateway answers itself: sign-in, people, keys, and what a workspace decides."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CollectorRegistry

from postmeter.gateway.keys.holders import Keys
from postmeter.gateway.limits import limits
from postmeter.gateway.metrics import GatewayMetrics, PeopleMetrics
from postmeter.gateway.people import throttle
from postmeter.gateway.people.browser.origins import Origins
from postmeter.gateway.people.callers import Callers
from postmeter.gateway.people.key_routes import KeyRoutes
from postmeter.gateway.people.oidc.provider import Provider
from postmeter.gateway.people.oidc.routes import OidcRoutes
from postmeter.gateway.people.own_session_routes import OwnSessionRoutes
from postmeter.gateway.people.passwords import Passwords
from postmeter.gateway.people.session_routes import SessionRoutes
from postmeter.gateway.people.sessions import Sessions
from postmeter.gateway.people.sign_in import SignIn
from postmeter.gateway.people.throttle import Throttle
from postmeter.gateway.people.user_routes import UserRoutes
from postmeter.gateway.routes import Handler
from postmeter.gateway.settings import GatewaySettings
from postmeter.gateway.workspace.erasure_routes import ErasureRoutes
from postmeter.gateway.workspace.privacy_routes import PrivacyRoutes
from postmeter.gateway.workspace.sending_ip_routes import SendingIpRoutes
from postmeter.gateway.workspace.verdict_routes import VerdictRoutes
from postmeter.shared.auth.principal import Principal
from postmeter.shared.http.changes import settled
from postmeter.shared.http.clients.trusted_hops import TrustedHops
from postmeter.shared.privacy.audit import AuditMetrics
from postmeter.shared.storage import postgres
from postmeter.shared.storage.postgres import Pool

STATEMENT_SECONDS = 2.0
CONNECTIONS = 4
"""To Postgres, for what people change. They are their own, so that a flood of sign-ins keeps no key waiting."""


class OwnEndpoints:
    """callers: who asks, by a key or a session. handlers: by method and path, of the endpoints that are answered here.

    pool: read-only, for look-ups. writes: for the rest.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        pool: Pool,
        writes: Pool,
        keys: Keys,
        hops: TrustedHops,
        registry: CollectorRegistry,
        metrics: GatewayMetrics,
    ) -> None:
        self._writes = writes
        self._redis = limits.client(settings.redis_url, throttle.DEADLINE_SECONDS)
        self._passwords = Passwords()
        sessions = Sessions(pool, writes)
        origins = Origins(settings.public_gateway_url, settings.trusted_hops)
        of_people = PeopleMetrics(registry)
        AuditMetrics(registry)
        self._provider = _provider(settings)
        oidc = OidcRoutes(self._provider, _label(settings), writes, sessions, origins, hops, of_people)
        sign_in = SignIn(writes, keys, self._passwords, Throttle(self._redis, settings.key_pepper))
        self.callers = Callers(keys, sessions, origins, metrics)
        handlers = {
            **SessionRoutes(self.callers, sessions, sign_in, origins, hops, of_people).handlers(),
            **OwnSessionRoutes(self.callers, sessions, origins).handlers(),
            **UserRoutes(writes, origins).handlers(),
            **KeyRoutes(writes, settings.key_pepper).handlers(),
            **VerdictRoutes(pool, writes).handlers(),
            **SendingIpRoutes(pool, writes).handlers(),
            **PrivacyRoutes(pool, writes).handlers(),
            **ErasureRoutes(pool, writes).handlers(),
        }
        # An OpenID provider takes its time; only what comes after its answer is held to ours.
        self.handlers = {place: _in_time(handler) for place, handler in handlers.items()} | oidc.handlers()

    async def close(self) -> None:
        """End threads and connections."""
        self._passwords.close()
        if self._provider is not None:
            await self._provider.close()
        await self._redis.aclose()
        await postgres.close(self._writes)


async def connect(settings: GatewaySettings) -> Pool:
    """Connections for what people change."""
    own = dataclasses.replace(settings, postgres_pool=CONNECTIONS)
    return await postgres.connect(own, "gateway", STATEMENT_SECONDS)


def _in_time(handler: Handler) -> Handler:
    """The handler, its answers `settled`: each in time, whatever Postgres does."""

    async def answer(request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        return await settled(handler(request, caller, body))

    return answer


def _provider(settings: GatewaySettings) -> Provider | None:
    if not settings.oidc_issuer:
        return None
    return Provider(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret)


def _label(settings: GatewaySettings) -> str:
    """What people read on the button."""
    return settings.oidc_label or urlsplit(settings.oidc_issuer).hostname or ""
