"""How long an answer that has no end of its own goes on: while the caller may have it, and until this gateway stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError, Unavailable
from postmeter.shared.http.server import is_closing

CHECK_SECONDS = 2.0


class Lifetime:
    """How long one stream lasts. began_as: whose it is. caller: who it would be now; raises RequestError as for a new
    request.
    """

    def __init__(
        self, request: web.BaseRequest, began_as: Principal | None, caller: Callable[[], Awaitable[Principal | None]]
    ) -> None:
        self._request = request
        self._began_as = began_as
        self._caller = caller
        self._checked_at = asyncio.get_running_loop().time()

    async def ends(self) -> bytes | None:
        """The bytes with which the stream has to end; None: it goes on."""
        if is_closing(self._request):
            return b""  # the client comes again, to another gateway
        now = asyncio.get_running_loop().time()
        if now - self._checked_at < CHECK_SECONDS:
            return None
        self._checked_at = now
        try:
            if await self._caller() != self._began_as:
                return b""  # with other rights; comes again, and gets what these allow
        except Unavailable:
            return None  # nobody can tell now
        except RequestError as error:
            if error.status in (401, 403):
                said = msgspec.json.encode({"code": error.code, "message": error.message})
                return b"event: end\ndata: " + said + b"\n\n"
        return None
