"""Who may use the database: each workspace a part of the connections, each request for a limited time.

Whatever one workspace asks for, and however slow it is, the others find a connection. A turn is taken before the
first connection and given back after the last; a request uses one connection at a time, so nobody waits in the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from postmeter.shared.errors import RequestError

WORKSPACE_SHARE = 4
"""One workspace may hold this part of the connections, a quarter, and one in any case."""
SEARCHES = 2
"""Searches at once in this process; of one workspace there is one. They may read every message there is."""
MAX_WAITING = 32
"""Requests of one workspace that wait for their turn; the gateway sends it no more at once."""
MARGIN_SECONDS = 1.0
"""What a request may take beside its longest statement. Together they are less than the gateway waits."""


class _Workspace:
    """What one workspace holds, and how many of its requests wait."""

    def __init__(self, share: int) -> None:
        self.share = asyncio.Semaphore(share)
        self.search = asyncio.Semaphore(1)
        self.waiting = 0


class ConcurrencyLimiter:
    """The turns of one process. connections: of the pool. statement_seconds: what one statement may take."""

    def __init__(self, connections: int, statement_seconds: float) -> None:
        self._seconds = statement_seconds + MARGIN_SECONDS
        self._share = max(1, connections // WORKSPACE_SHARE)
        # Two connections stay free: for versions, and for /readyz, which tells how Postgres is and not how many ask.
        self._all = asyncio.Semaphore(max(1, connections - 2))
        self._searches = asyncio.Semaphore(SEARCHES)
        self._workspaces: WeakValueDictionary[int, _Workspace] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, workspace: int, *, search: bool = False) -> AsyncIterator[None]:
        """A turn of `workspace`; the time spent waiting for it is time of the request.

        Raises RequestError 503 UNAVAILABLE where too many wait, or after half of the request's time; TimeoutError
        when all of it is over. The caller's statement is cancelled then, as it is when the caller is.
        """
        async with asyncio.timeout(self._seconds), AsyncExitStack() as held:
            mine = self._workspaces.setdefault(workspace, _Workspace(self._share))
            if mine.waiting >= MAX_WAITING:
                raise _busy()
            mine.waiting += 1
            try:
                async with asyncio.timeout(self._seconds / 2):
                    await self._wait(mine, held, search)
            except TimeoutError:
                raise _busy() from None
            finally:
                mine.waiting -= 1
            yield

    async def _wait(self, mine: _Workspace, held: AsyncExitStack, search: bool) -> None:
        """From what is the workspace's own to what all share: who waits for himself keeps nothing from others."""
        own = [mine.search, self._searches] if search else []
        for semaphore in (*own, mine.share, self._all):
            await held.enter_async_context(semaphore)


def _busy() -> RequestError:
    message = "Too many requests of this workspace are at work; try again, with fewer at once."
    return RequestError(503, "UNAVAILABLE", message, None, {"Retry-After": "1"})
