"""Settings that live in Postgres, read again now and then instead of with each flush."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Generic, TypeVar

from postmeter.shared.storage.postgres import Connection

REFRESH_SECONDS = 1.0
T = TypeVar("T")


class Refreshed(Generic[T]):
    """`now`: what `read` found at most REFRESH_SECONDS before the last `refresh`; before the first one, `first`."""

    def __init__(self, first: T, read: Callable[[Connection], Awaitable[T]]) -> None:
        self.now = first
        self._read = read
        self._read_at = float("-inf")
        self._turns = count(1)
        self._read_in = self._expired_in = 0

    async def refresh(self, connection: Connection) -> None:
        """Read it again, if it is time. Of several at once the one that began last holds."""
        if time.monotonic() - self._read_at < REFRESH_SECONDS:
            return
        turn = next(self._turns)
        found = await self._read(connection)
        if turn > self._read_in:
            self.now, self._read_in = found, turn
            if turn > self._expired_in:
                self._read_at = time.monotonic()

    def expire(self) -> None:
        """What is known has changed: the next `refresh` reads it again, whoever is reading now."""
        self._expired_in = next(self._turns)
        self._read_at = float("-inf")
