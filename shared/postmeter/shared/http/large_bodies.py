"""Large bodies take turns: each needs several times its size in memory, and a process has only so much."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from postmeter.shared.errors import Unavailable
from postmeter.shared.http.bodies import LARGE, Turn
from postmeter.shared.http.concurrency import ConcurrencyLimiter

AT_ONCE = 4
OF_A_WORKSPACE = 2
_BUSY = "Too many large requests at once; try again in a second, or send smaller ones."


class LargeBodies:
    """The turns of one process, for all endpoints that take large bodies."""

    def __init__(self) -> None:
        self._limiter = ConcurrencyLimiter(AT_ONCE, OF_A_WORKSPACE)

    @asynccontextmanager
    async def of(self, workspace: Hashable, request: web.BaseRequest) -> AsyncIterator[Turn]:
        """What reading awaits once the body is a large one; its turn lasts until the block ends.

        workspace: whose turns these are.
        Raises Unavailable, from the turn, if none comes free in time.
        """
        async with AsyncExitStack() as held:

            async def turn() -> None:
                try:
                    await self._limiter.take(held, (workspace,), request, LARGE)
                except TimeoutError:
                    raise Unavailable(_BUSY, 1) from None

            yield turn
