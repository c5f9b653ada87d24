"""How many rows of a kind a workspace may have; what goes beyond gets no row of its own, and is counted."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from prometheus_client import Counter

from postmeter.shared.storage.postgres import Connection

T = TypeVar("T", bound=tuple[Any, ...])
Count = Callable[[Connection, int, int], Awaitable[int]]
"""Of a workspace's rows, from (connection, workspace, the number behind which need not be counted)."""


class Share(NamedTuple, Generic[T]):
    """What of a workspace's there is room for, and what is beyond."""

    workspace: int
    fitting: list[T]
    beyond: list[T]


class Room:
    """Of each workspace at most `limit`. fresh_seconds: how long a count is good, so that it may go a little over.

    overflow: raised for each that there is no room for.
    """

    def __init__(self, limit: int, count: Count, overflow: Counter, fresh_seconds: float = 0.0) -> None:
        self._limit = limit
        self._count = count
        self._overflow = overflow
        self._fresh_seconds = fresh_seconds
        self._counted: dict[int, tuple[float, int]] = {}

    async def shares(self, connection: Connection, wanted: Iterable[T]) -> list[Share[T]]:
        """Of each workspace its share; each of these begins with its workspace. What fits is taken to be made now."""
        by_workspace: dict[int, list[T]] = {}
        for one in wanted:
            by_workspace.setdefault(one[0], []).append(one)
        shares: list[Share[T]] = []
        for workspace, of_it in by_workspace.items():
            counted_at, made = await self._made(connection, workspace)
            room = max(0, self._limit - made)
            share = Share(workspace, of_it[:room], of_it[room:])
            self._counted[workspace] = (counted_at, made + len(share.fitting))
            self._overflow.inc(len(share.beyond))
            shares.append(share)
        return shares

    async def _made(self, connection: Connection, workspace: int) -> tuple[float, int]:
        """(when they were counted, how many there are)."""
        now = time.monotonic()
        known = self._counted.get(workspace)
        if known is not None and now - known[0] <= self._fresh_seconds:
            return known
        return now, await self._count(connection, workspace, self._limit)
