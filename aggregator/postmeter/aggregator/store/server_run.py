"""Which database of which run of a server this process talks to: what it knows of one need not hold for another."""

from __future__ import annotations

import time
from collections.abc import Callable

import asyncpg

from postmeter.aggregator.errors import ClocksApart
from postmeter.aggregator.fold import moments
from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries

MOST_APART = 86_400
"""Seconds. Partitions are made by one clock and asked for by the other: further apart all would be put aside."""
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
        """Make a fresh connection ready, and look whose it is before anything is asked on it. Raises ClocksApart."""
        await moments.prepare(connection)
        row = await connection.fetchrow(_QUERIES["name"])
        assert row is not None
        _compare(row["now"])
        before, self._name = self._name, row["name"]
        if before and before != row["name"]:
            for tell in self.changed:
                tell()


async def compare_clocks(connection: Connection) -> None:
    """Look at the time of a server once more: either clock may have jumped. Raises ClocksApart."""
    row = await connection.fetchrow(_QUERIES["name"])
    assert row is not None
    _compare(row["now"])


def _compare(there: int) -> None:
    apart = (there - time.time_ns() // 1000) // MICROSECONDS
    if abs(apart) > MOST_APART:
        raise ClocksApart(
            f"the clock of this service is {abs(apart)} seconds {'behind' if apart > 0 else 'ahead of'} that of"
            " Postgres: nothing is counted until both are right; have NTP set them"
        )
