"""/session: signing in and out, and who is signed in."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec
from aiohttp import web

from postmeter.gateway.hits.stand_in import client_of
from postmeter.gateway.metrics import PeopleMetrics
from postmeter.gateway.people import sessions
from postmeter.gateway.people.browser import kinds
from postmeter.gateway.people.browser.cookie import SESSION
from postmeter.gateway.people.browser.origins import Origins
from postmeter.gateway.people.callers import Callers
from postmeter.gateway.people.sessions import Sessions
from postmeter.gateway.people.sign_in import SignIn
from postmeter.gateway.routes import Handler
from postmeter.shared.apis.people import session as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError, Unavailable
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.http.clients.trusted_hops import TrustedHops
from postmeter.shared.storage.postgres import AWAY


class SessionRoutes:
    """The handlers of api.ENDPOINTS. hops: who tells clients' addresses."""

    def __init__(
        self,
        callers: Callers,
        sessions: Sessions,
        sign_in: SignIn,
        origins: Origins,
        hops: TrustedHops,
        metrics: PeopleMetrics,
    ) -> None:
        self._callers = callers
        self._hops = hops
        self._sign_ins = metrics.sign_ins
        self._sessions = sessions
        self._sign_in = sign_in
        self._origins = origins

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {
            ("POST", api.PATH): self._create,
            ("GET", api.PATH): self._show,
            ("DELETE", api.PATH): self._end,
            ("POST", api.LINK_PATH): self._show_link,
        }

    async def _create(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        self._origins.require_own(request)
        token = await self._signed_in(request, body)
        await self._sessions.end(*SESSION.all_values(request))  # whoever is signed in, it is one session
        response = web.Response(status=204)
        SESSION.give(response, token, sessions.LIFETIME, is_secure=self._origins.is_secure(request))
        return response

    async def _show(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        holder = await self._callers.holder(request)
        who = holder.principal
        told = api.SessionAnswer(api.Session(holder.email, holder.role, who.workspace_id, who.scopes))
        return json(told)

    async def _show_link(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        self._origins.require_own(request)
        given, address = json_bodies.decode(_question, body), client_of(request, self._hops).address
        link = await self._sign_in.look_at_link(given.link, address)
        told = api.GoodLinkAnswer(api.GoodLink(link.purpose.value, link.email, link.workspace))
        return json(told)

    async def _end(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        self._origins.require_own(request)
        await self._sessions.end(*SESSION.all_values(request))
        response = web.Response(status=204)
        SESSION.take(response, request, is_secure=self._origins.is_secure(request))
        return response

    async def _signed_in(self, request: web.BaseRequest, body: bytes) -> str:
        """A new session's token."""
        browser = kinds.of(request.headers.get("User-Agent", ""))
        fields = json_bodies.decode(_any, body)
        signing_in: Awaitable[str]
        if "api_key" in fields:
            way, signing_in = "api_key", self._sign_in.with_key(json_bodies.decode(_key, body), browser)
        elif "link" in fields:
            way, signing_in = "link", self._sign_in.with_link(json_bodies.decode(_link, body), browser)
        else:
            given, address = json_bodies.decode(_password, body), client_of(request, self._hops).address
            way, signing_in = "password", self._sign_in.with_password(given, address, browser)
        try:
            token = await signing_in
        except RequestError as error:
            if error.status in _OUTCOMES:
                self._sign_ins.labels(way, _OUTCOMES[error.status]).inc()
            raise
        except (Unavailable, *AWAY):
            self._sign_ins.labels(way, "unavailable").inc()
            raise
        self._sign_ins.labels(way, "signed_in").inc()
        return token


_OUTCOMES = {401: "refused", 429: "limited", 503: "unavailable"}
_any = msgspec.json.Decoder(dict[str, Any])
_key = msgspec.json.Decoder(api.KeySignIn)
_question = msgspec.json.Decoder(api.LinkQuestion)
_link = msgspec.json.Decoder(api.LinkSignIn)
_password = msgspec.json.Decoder(api.PasswordSignIn)
