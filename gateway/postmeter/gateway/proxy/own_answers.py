"""The gateway's own answers: each in time, whatever Postgres does. Who asks is known before, within LOOK_UP_SECONDS."""

from __future__ import annotations

from aiohttp import web

from postmeter.gateway.proxy.routes import Handler
from postmeter.shared.auth.principal import Principal
from postmeter.shared.http.changes import settled


def in_time(handler: Handler) -> Handler:
    """The handler, its answers `settled`."""

    async def answer(request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        return await settled(handler(request, caller, body))

    return answer
