"""/session/oidc: signing in at an OpenID provider, by authorization code with PKCE (ADR 0042)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from urllib.parse import parse_qs

from aiohttp import web

from postmeter.gateway.hits.stand_in import client_of
from postmeter.gateway.metrics import PeopleMetrics
from postmeter.gateway.people import sessions, users
from postmeter.gateway.people.browser import kinds
from postmeter.gateway.people.browser.cookie import OIDC, SESSION
from postmeter.gateway.people.browser.kinds import Browser
from postmeter.gateway.people.browser.origins import Origins
from postmeter.gateway.people.oidc.provider import NotSignedIn, Provider, ProviderAway
from postmeter.gateway.people.sessions import Sessions
from postmeter.gateway.routes import Handler
from postmeter.shared.apis.people import session as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.http.answers import json
from postmeter.shared.http.changes import settled
from postmeter.shared.http.clients.networks import network_of
from postmeter.shared.http.clients.trusted_hops import TrustedHops
from postmeter.shared.http.concurrency import ConcurrencyLimiter
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import Pool, transaction

LIFETIME = timedelta(minutes=10)
"""How long somebody may take to sign in at the provider."""
AT_ONCE, OF_ONE = 8, 2
"""Sign-ins for which the provider is asked, in all and from one address: anybody can make up a code."""
_BEGUN = re.compile(r"([A-Za-z0-9_-]{43})(?:\.([A-Za-z0-9_-]{1,64}))?", re.ASCII)


class OidcRoutes:
    """The handlers of api.OIDC_ENDPOINTS. provider: None where none is configured; label: what people call it.

    hops: who tells clients' addresses.
    """

    def __init__(
        self,
        provider: Provider | None,
        label: str,
        writes: Pool,
        sessions: Sessions,
        origins: Origins,
        hops: TrustedHops,
        metrics: PeopleMetrics,
    ) -> None:
        self._hops = hops
        self._provider = provider
        self._label = label
        self._writes = writes
        self._sessions = sessions
        self._origins = origins
        self._sign_ins = metrics.sign_ins
        self._asking = ConcurrencyLimiter(AT_ONCE, OF_ONE)
        # Anybody may come back with a code that they made up, as often as they like.
        self._refusals = logs.Seldom("sign-ins at the OpenID provider were refused here", logging.INFO)
        self._failures = logs.Seldom("the OpenID provider cannot be used now", logging.WARNING)

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {
            ("GET", api.WAYS_PATH): self._ways,
            ("GET", api.OIDC_PATH): self._begin,
            ("GET", api.OIDC_CALLBACK_PATH): self._end,
        }

    async def _ways(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        told = None if self._provider is None else api.Oidc(self._label, api.OIDC_PATH)
        return json(api.WaysAnswer(api.Ways(oidc=told)))

    async def _begin(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        if self._provider is None:
            return _back("off")
        workspace = _given(request, "workspace")
        begun = secrets.token_urlsafe(32) + ("" if workspace is None else f".{workspace}")
        if not _BEGUN.fullmatch(begun):
            return _back("refused")
        state, nonce, verifier = _secrets(begun)
        challenge = _base64(hashlib.sha256(verifier.encode()).digest())
        try:
            async with self._turn(request):
                url = await self._provider.authorization_url(self._callback(request), state, nonce, challenge)
        except ProviderAway as error:
            return self._away(error)
        response = web.Response(status=302, headers={"Location": url})
        OIDC.give(response, begun, LIFETIME, is_secure=self._origins.is_secure(request))
        return response

    async def _end(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        """The browser comes back. All that is wrong leads to /login: a person looks at it."""
        response = await self._signed_in(request)
        OIDC.take(response, request, is_secure=self._origins.is_secure(request))
        return response

    async def _signed_in(self, request: web.BaseRequest) -> web.Response:
        is_secure = self._origins.is_secure(request)
        begun = list(filter(None, map(_BEGUN.fullmatch, OIDC.values(request, is_secure=is_secure))))
        if self._provider is None or not begun:
            return _back("refused")
        code, told, issuer = (_given(request, name) for name in ("code", "state", "iss"))
        match = next((one for one in begun if _is_state_of(one[0], told)), None)
        if code is None or match is None:
            return self._refused("the provider gave no code, or it is not for what this browser began")
        _, nonce, verifier = _secrets(match[0])
        try:
            async with self._turn(request):
                email = await self._provider.email(code, self._callback(request), nonce, verifier, issuer)
        except NotSignedIn as error:
            return self._refused(str(error))
        except ProviderAway as error:
            return self._away(error)
        browser = kinds.of(request.headers.get("User-Agent", ""))
        token = await settled(self._session_of(email, match[2], browser))
        if token is None:
            return self._refused("nobody has been invited under this email, or the account is disabled", "unknown")
        await settled(self._sessions.end(*SESSION.all_values(request)))
        self._sign_ins.labels("oidc", "signed_in").inc()
        response = web.Response(status=302, headers={"Location": "/"})
        SESSION.give(response, token, sessions.LIFETIME, is_secure=is_secure)
        return response

    @asynccontextmanager
    async def _turn(self, request: web.BaseRequest) -> AsyncIterator[None]:
        """Raises ProviderAway where others have all turns: neither a provider that hangs nor a stranger holds us up."""
        async with AsyncExitStack() as held:
            try:
                await self._asking.take(held, (network_of(client_of(request, self._hops).address),))
            except TimeoutError:
                raise ProviderAway("too many sign in at once") from None
            yield

    async def _session_of(self, email: str, workspace: str | None, browser: Browser) -> str | None:
        """A new session's token; None where there is nobody of that email who may come in."""
        async with self._writes.acquire() as connection, transaction(connection):
            place = await users.vouched_for(connection, email, workspace)
            if place is None or not await users.note_sign_in(connection, *place):
                return None
            return await sessions.begin(connection, *place, None, browser)

    def _callback(self, request: web.BaseRequest) -> str:
        return self._origins.base(request) + api.OIDC_CALLBACK_PATH

    def _refused(self, reason: str, word: str = "refused") -> web.Response:
        self._sign_ins.labels("oidc", "refused").inc()
        self._refusals.note(reason=reason)
        return _back(word)

    def _away(self, error: ProviderAway) -> web.Response:
        self._sign_ins.labels("oidc", "unavailable").inc()
        self._failures.note(error=str(error))
        return _back("unavailable")


def _given(request: web.BaseRequest, name: str) -> str | None:
    """The first parameter of that name; None too where there are more parameters than anybody sends."""
    try:
        return parse_qs(request.raw_path.partition("?")[2], max_num_fields=20, errors="replace").get(name, [None])[0]
    except ValueError:
        return None


def _back(word: str) -> web.Response:
    return web.Response(status=302, headers={"Location": f"/login#oidc={word}"})


def _secrets(begun: str) -> tuple[str, str, str]:
    """(state, nonce, PKCE's verifier): what the provider is told of them tells nothing of the cookie's value."""
    key = begun.encode()
    state, nonce, verifier = (hmac.digest(key, word, "sha256") for word in (b"state", b"nonce", b"verifier"))
    return _base64(state), _base64(nonce), _base64(verifier)


def _is_state_of(begun: str, told: str | None) -> bool:
    state, *_ = _secrets(begun)
    return hmac.compare_digest((told or "").encode(), state.encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
