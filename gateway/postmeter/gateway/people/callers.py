"""Who asks: the holder of an API key, or of a session, whose cookie stands for the same rights (ADR 0042)."""

from __future__ import annotations

from aiohttp import web

from postmeter.gateway.keys.holders import Keys
from postmeter.gateway.metrics import GatewayMetrics
from postmeter.gateway.people.browser.cookie import SESSION
from postmeter.gateway.people.browser.origins import Origins
from postmeter.gateway.people.sessions import Holder, Sessions
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.auth.principal import Principal, authorize
from postmeter.shared.errors import RequestError


class Callers:
    """Finds out who calls. A request with Authorization is the key's, whatever cookie comes along."""

    def __init__(self, keys: Keys, sessions: Sessions, origins: Origins, metrics: GatewayMetrics) -> None:
        self._keys = keys
        self._sessions = sessions
        self._origins = origins
        self._refusals = metrics.key_refusals

    async def require(self, request: web.BaseRequest, endpoint: Endpoint, *, is_use: bool = True) -> Principal:
        """Who asks for the endpoint. Raises RequestError 401, 403, or 503 when nobody can tell now.

        is_use: see Sessions.verify.
        """
        caller = (await self.holder(request, is_use=is_use)).principal
        try:
            authorize(endpoint, caller)
        except RequestError:
            self._refusals.labels("forbidden").inc()
            raise
        return caller

    async def holder(self, request: web.BaseRequest, *, is_use: bool = True) -> Holder:
        """Who asks. Raises as `require`."""
        said = request.headers.getall("Authorization", ())
        given = ", ".join(said) if said else None  # of two, whoever stands before us may have seen the other one
        tokens = SESSION.values(request, is_secure=self._origins.is_secure(request)) if given is None else []
        try:
            if not tokens:
                principal = await self._keys.verify(_key(given or ""))
                return Holder(principal, None, principal.role)
            self._origins.require_own(request)
            return await self._sessions.verify(*tokens, is_use=is_use)
        except RequestError as error:
            if error.status == 401:
                self._refusals.labels("session" if tokens else "unknown" if given else "missing").inc()
            elif error.status == 403:
                self._refusals.labels("origin").inc()
            raise


def _key(authorization: str) -> str | None:
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None
