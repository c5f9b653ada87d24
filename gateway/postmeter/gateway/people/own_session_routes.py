"""/sessions: where the caller is signed in, and signing out there."""

from __future__ import annotations

from uuid import UUID

import asyncpg
from aiohttp import web

from postmeter.gateway.people.browser.cookie import SESSION
from postmeter.gateway.people.browser.origins import Origins
from postmeter.gateway.people.callers import Callers
from postmeter.gateway.people.sessions import Holder, Sessions
from postmeter.gateway.routes import Handler
from postmeter.shared.apis.people import session as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError
from postmeter.shared.http.answers import json
from postmeter.shared.text.stamps import stamp


class OwnSessionRoutes:
    """The handlers of the endpoints below api.OWN_PATH. Callers see and end their own sessions, and nobody else's."""

    def __init__(self, callers: Callers, sessions: Sessions, origins: Origins) -> None:
        self._callers = callers
        self._sessions = sessions
        self._origins = origins

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {
            ("GET", api.OWN_PATH): self._list,
            ("DELETE", api.OWN_PATH): self._end_all,
            ("DELETE", api.ONE_PATH): self._end,
        }

    async def _list(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        holder = await self._callers.holder(request)
        told = api.OwnSessionsAnswer([_shown(row, holder) for row in await self._sessions.own(holder)])
        return json(told)

    async def _end(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        holder = await self._callers.holder(request)
        try:
            session = UUID(request.raw_path.partition("?")[0].rpartition("/")[2])
        except ValueError:
            raise _no_such() from None
        if not await self._sessions.end_own(holder, session):
            raise _no_such()
        return self._ended(request, is_here=session == holder.session)

    async def _end_all(self, request: web.BaseRequest, _: Principal | None, body: bytes) -> web.Response:
        holder = await self._callers.holder(request)
        await self._sessions.end_own(holder)
        return self._ended(request, is_here=holder.session is not None)

    def _ended(self, request: web.BaseRequest, *, is_here: bool) -> web.Response:
        response = web.Response(status=204)
        if is_here:
            SESSION.take(response, request, is_secure=self._origins.is_secure(request))
        return response


def _shown(row: asyncpg.Record, holder: Holder) -> api.OwnSession:
    return api.OwnSession(
        id=str(row["id"]),
        created_at=stamp(row["created_at"]),
        seen_at=stamp(row["seen_at"]),
        expires_at=stamp(row["expires_at"]),
        browser=row["browser"],
        system=row["system"],
        current=row["id"] == holder.session,
    )


def _no_such() -> RequestError:
    return RequestError(404, "NOT_FOUND", "You have no such session.")
