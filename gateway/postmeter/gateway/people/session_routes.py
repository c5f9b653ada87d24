"""/session: signing in and out, and who one is."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from postmeter.gateway.callers import Callers
from postmeter.gateway.people import cookie, sessions
from postmeter.gateway.people.origins import Origins
from postmeter.gateway.people.sessions import Sessions
from postmeter.gateway.people.sign_in import SignIn
from postmeter.gateway.routes import Handler
from postmeter.shared import json_bodies
from postmeter.shared.apis import session as api
from postmeter.shared.principal import Principal


class SessionRoutes:
    """The handlers of api.ENDPOINTS."""

    def __init__(self, callers: Callers, sessions: Sessions, sign_in: SignIn, origins: Origins) -> None:
        self._callers = callers
        self._sessions = sessions
        self._sign_in = sign_in
        self._origins = origins

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {("POST", api.PATH): self._create, ("GET", api.PATH): self._show, ("DELETE", api.PATH): self._end}

    async def _create(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        self._origins.require_own(request)
        token = await self._signed_in(body)
        if (before := cookie.read(request)) is not None:  # whoever is signed in, it is one session
            await self._sessions.end(before)
        response = web.Response(status=204)
        cookie.give(response, token, sessions.LIFETIME, is_secure=self._origins.is_secure(request))
        return response

    async def _show(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        holder = await self._callers.holder(request)
        who = holder.principal
        told = api.SessionAnswer(api.Session(holder.email, holder.role, who.workspace_id, who.scopes))
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    async def _end(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        self._origins.require_own(request)
        if (token := cookie.read(request)) is not None:
            await self._sessions.end(token)
        response = web.Response(status=204)
        cookie.take(response)
        return response

    async def _signed_in(self, body: bytes) -> str:
        fields = json_bodies.decode(_any, body)
        if "api_key" in fields:
            return await self._sign_in.with_key(json_bodies.decode(_key, body))
        if "link" in fields:
            return await self._sign_in.with_link(json_bodies.decode(_link, body))
        return await self._sign_in.with_password(json_bodies.decode(_password, body))


_any = msgspec.json.Decoder(dict[str, Any])
_key = msgspec.json.Decoder(api.KeySignIn)
_link = msgspec.json.Decoder(api.LinkSignIn)
_password = msgspec.json.Decoder(api.PasswordSignIn)
