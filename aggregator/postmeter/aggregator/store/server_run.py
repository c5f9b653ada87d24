"""Which database of which run of a server this process speaks to: what it knows of one need not hold for another."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from postmeter.aggregator.fold import moments
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.aggregator.store", "server_run.sql")


class ServerRun:
    """What is behind a pool's connections; changed: called where that is another one than before.

    A replica that takes over, and a database that was restored, may lack what was committed last, though this process
    has heard of it: messages, first engagements, the numbers of series and links, how far a stream is counted.
    """

    def __init__(self) -> None:
        self._name = ""
        self.changed: list[Callable[[], None]] = []

    async def prepare(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Make a fresh connection ready, and look whose it is before anything is asked on it."""
        await moments.prepare(connection)
        name: str = await connection.fetchval(_QUERIES["name"])
        before, self._name = self._name, name
        if before and before != name:
            for tell in self.changed:
                tell()
