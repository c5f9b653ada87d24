"""Versions of what workspaces' answers are made of: each commit that changes any of it makes another (ADR 0046)."""

from __future__ import annotations

import asyncio

from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.query.cache", "versions.sql")
EVERYBODY = 0
"""The workspace whose rows stand for all."""
SECONDS = 0.5
"""What a reading may take: it takes a millisecond, and the time of the answer itself begins behind it."""


class Versions:
    """Reads them, one statement at a time; requests that come meanwhile share the next one.

    A statement that had begun before a request came might not see what was committed before it.
    """

    def __init__(self, pool: Pool, seconds: float = SECONDS) -> None:
        """seconds: what a reading may take."""
        self._pool = pool
        self._seconds = seconds
        self._reading = asyncio.Lock()
        self._wanted: set[int] = set()
        self._next: asyncio.Task[dict[int, int]] | None = None

    async def of(self, workspace: int) -> int:
        """The workspace's present version; it only rises. Raises TimeoutError where that takes too long."""
        if self._next is None:
            self._wanted = {EVERYBODY}
            self._next = asyncio.create_task(self._read(self._wanted))
            self._next.add_done_callback(_told)
        self._wanted.add(workspace)
        found = await asyncio.shield(self._next)
        return found.get(EVERYBODY, 0) + found.get(workspace, 0)

    async def _read(self, wanted: set[int]) -> dict[int, int]:
        async with self._reading:
            self._next = None  # who comes from now on waits for the one after this
            async with asyncio.timeout(self._seconds):
                rows = await self._pool.fetch(_QUERIES["versions"], list(wanted))
        return {row["workspace"]: row["version"] for row in rows}


def _told(reading: asyncio.Task[dict[int, int]]) -> None:
    """Those who wait for a reading get its error; if all of them have gone meanwhile, nobody needs it."""
    if not reading.cancelled():
        reading.exception()
