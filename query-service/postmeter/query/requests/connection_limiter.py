"""Who may use the database: each workspace a part of the connections, each request for a limited time.

Whatever one workspace asks for, and however slow it is, the others find a connection. A turn is taken before the
first connection and given back after the last; a request uses one connection at a time, so nobody waits in the pool.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from postmeter.shared.errors import Unavailable
from postmeter.shared.http.concurrency import ConcurrencyLimiter

WORKSPACE_SHARE = 4
"""One workspace may hold this part of the connections, a quarter, and one in any case."""
SEARCHES = 2
"""Searches at once in this process: they may read every message there is."""
SEARCHES_OF_ONE = 1
"""Of one workspace."""
MAX_WAITING = 32
"""Requests of one workspace that wait for their turn; the gateway sends it no more at once."""
MARGIN_SECONDS = 1.0
"""What a request may take beside its longest statement. Together they are less than the gateway waits."""


class ConnectionLimiter:
    """The turns of one process. connections: of the pool. statement_seconds: what one statement may take."""

    def __init__(self, connections: int, statement_seconds: float) -> None:
        self._seconds = statement_seconds + MARGIN_SECONDS
        patience = self._patience = self._seconds / 2
        share = max(1, connections // WORKSPACE_SHARE)
        # Two connections stay free: for versions, and for /readyz, which tells how Postgres is and not how many ask.
        self._all = ConcurrencyLimiter(max(1, connections - 2), share, seconds=patience)
        self._searches = ConcurrencyLimiter(SEARCHES, SEARCHES_OF_ONE, seconds=patience)
        self._waiting = Counter[int]()

    @asynccontextmanager
    async def take(self, workspace: int, *, search: bool = False) -> AsyncIterator[None]:
        """A turn of `workspace`; the time spent waiting for it is time of the request.

        Raises Unavailable where too many wait, or after half of the request's time; TimeoutError
        when all of it is over. The caller's statement is cancelled then, as it is when the caller is.
        """
        async with asyncio.timeout(self._seconds), AsyncExitStack() as held:
            with self._queued(workspace):
                try:
                    async with asyncio.timeout(self._patience):
                        # From what is the workspace's own to what all share.
                        if search:
                            await self._searches.take(held, (workspace,))
                        await self._all.take(held, (workspace,))
                except TimeoutError:
                    raise _busy() from None
            yield

    @contextmanager
    def _queued(self, workspace: int) -> Iterator[None]:
        if self._waiting[workspace] >= MAX_WAITING:
            raise _busy()
        self._waiting[workspace] += 1
        try:
            yield
        finally:
            self._waiting[workspace] -= 1
            if not self._waiting[workspace]:
                del self._waiting[workspace]


def _busy() -> Unavailable:
    return Unavailable("Too many requests of this workspace are at work; try again, with fewer at once.", 1)
