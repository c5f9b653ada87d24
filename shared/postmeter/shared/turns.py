"""Turns: how many requests of a kind are in flight, in all and of each of those who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import AsyncExitStack
from weakref import WeakValueDictionary

TURN_SECONDS = 5.0
"""How long a request waits for its turn when there is enough to do already."""


class Turns:
    """`total` at a time. parts: how many of them one name may hold, then how many one name within that, and so on."""

    def __init__(self, total: int, *parts: int) -> None:
        self._all = asyncio.Semaphore(total)
        self._parts = parts
        self._shares: WeakValueDictionary[tuple[Hashable, ...], asyncio.Semaphore] = WeakValueDictionary()

    async def take(self, held: AsyncExitStack, names: tuple[Hashable, ...]) -> None:
        """Take one for who has these names, the widest first; `held` gives it back. Raises TimeoutError."""
        async with asyncio.timeout(TURN_SECONDS):
            # The narrowest share first: who waits in it holds nothing that others could use.
            for depth in range(min(len(names), len(self._parts)), 0, -1):
                share = self._shares.setdefault(names[:depth], asyncio.Semaphore(self._parts[depth - 1]))
                await held.enter_async_context(share)
            await held.enter_async_context(self._all)
