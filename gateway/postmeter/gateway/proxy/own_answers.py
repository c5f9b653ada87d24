"""The gateway's own answers: what they may take, whatever Postgres does, and what is known then of what was asked."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from aiohttp import web

from postmeter.gateway.keys.remembered import AWAY
from postmeter.gateway.proxy.routes import Handler
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError, Unavailable
from postmeter.shared.process import logs
from postmeter.shared.process.deadlines import within
from postmeter.shared.storage import commits

SECONDS = 10.0
"""With the wait for a connection. Who asks is known before, within LOOK_UP_SECONDS."""

T = TypeVar("T")


def in_time(handler: Handler) -> Handler:
    """The handler, its answers `settled`."""

    async def answer(request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        return await settled(handler(request, caller, body))

    return answer


async def settled(work: Awaitable[T]) -> T:
    """What the work gives within SECONDS. Raises Unavailable where Postgres does not answer, or not in time, and
    nothing was changed; RequestError 504 where nobody knows whether anything was.
    """
    with commits.watched() as committed:
        try:
            return await within(SECONDS, work)
        except AWAY as error:
            logs.get().warning("what people asked for was not done", error=repr(error), is_known=not committed.sent)
            took_too_long = isinstance(error, TimeoutError)
    if committed.sent:
        message = "The database did not answer in time. Whether this was done is not known: look before you ask again."
        raise RequestError(504, "GATEWAY_TIMEOUT", message)
    trouble = "This took too long" if took_too_long else "The database does not answer now"
    raise Unavailable(f"{trouble}, and nothing was changed; try again.", 1)
