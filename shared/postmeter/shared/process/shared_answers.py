"""One answer for all who ask at the same time, and a rest behind each: what anybody may ask for takes a bounded part of
the process, however often it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

REST = 9
"""How many times as long as an answer has taken nothing is done towards the next one: it has a tenth of the time."""
MOST_REST = 0.25
"""Seconds; the most of it."""


class SharedAnswer(Generic[T]):
    """make: gives one answer. It begins when all who get that one have asked, so that none is told what was before."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._next: asyncio.Task[T] | None = None
        self._turn = asyncio.Lock()
        self._rested = 0.0

    async def get(self) -> T:
        """The answer. Raises what `make` raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._answer())
            self._next.add_done_callback(_told)
        return await asyncio.shield(self._next)

    async def _answer(self) -> T:
        async with self._turn:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(self._rested - loop.time())
            self._next = None  # who asks from now on gets the one after this
            began = loop.time()
            try:
                return await self._make()
            finally:
                ended = loop.time()
                self._rested = ended + min(REST * (ended - began), MOST_REST)


def _told(answering: asyncio.Task[T]) -> None:
    """Those who wait for it get its error; if all of them have gone meanwhile, nobody needs it."""
    if not answering.cancelled():
        answering.exception()
