"""ConcurrencyLimiter: how many requests of a kind are in flight, in all and of each of those who ask.

A request that has a turn while its body is still on its way may hold it for as long as the body's clock allows. Nobody
else has to wait for that: after PATIENCE_SECONDS of waiting, the body that comes most slowly is given up, and
its turn goes on. While there are turns enough nobody is hurried.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from aiohttp import StreamReader, web

from postmeter.shared.errors import RequestError
from postmeter.shared.http import arrivals

TURN_SECONDS = 5.0
"""How long a request waits for its turn when there is enough to do already."""
PATIENCE_SECONDS = 2.0
"""How long it waits before a slow body is given up for it; and how long each body may take before it is one."""
WAITING_BYTES = 64 << 20
"""What bodies hold together while they wait for turns. One more that would have to wait is refused at once."""
WAITING_SHARE = 2
"""Those of one caller, by the widest of its names, may hold this part of it: a half."""
AT_ONCE = 256 << 10
"""What comes of a body at once when it may go on, for all of those whose time to wait ends in the same moment."""


class ConcurrencyLimiter:
    """`total` at a time. parts: how many of them one name may hold, then how many one name within that, and so on.

    seconds: how long one is waited for; TURN_SECONDS by default.
    """

    def __init__(self, total: int, *parts: int, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._all = asyncio.Semaphore(total)
        self._parts = parts
        self._shares: WeakValueDictionary[tuple[Hashable, ...], asyncio.Semaphore] = WeakValueDictionary()
        self._arriving: dict[StreamReader, tuple[web.BaseRequest, float, int]] = {}
        """Bodies that are read during a turn: of which request, since when, and how many bytes had come by then."""
        self._waiting: Counter[Hashable] = Counter()
        """Bytes of bodies that wait, by the widest name of whose they are."""

    async def take(
        self,
        held: AsyncExitStack,
        names: tuple[Hashable, ...],
        arriving: web.BaseRequest | None = None,
        kept: int = 0,
    ) -> None:
        """Take a turn for a caller of these names, the widest first; `held` gives it back. Raises TimeoutError.

        arriving: the request, if its body is read during the turn: whoever reads it may get a RequestError 408. kept:
        bytes of it that are read already, and in memory.
        """
        loop = asyncio.get_running_loop()
        # The narrowest share first: whoever waits in it holds nothing that others could use.
        shares = [
            self._shares.setdefault(names[:depth], asyncio.Semaphore(self._parts[depth - 1]))
            for depth in range(min(len(names), len(self._parts)), 0, -1)
        ]
        room = self._room(names[:1], arriving, kept, [*shares, self._all])
        async with room, asyncio.timeout(self._seconds or TURN_SECONDS):
            for share in shares:
                await held.enter_async_context(share)
            hurry = loop.call_later(PATIENCE_SECONDS, self._hurry) if self._all.locked() else None
            try:
                await held.enter_async_context(self._all)
            finally:
                if hurry is not None:
                    hurry.cancel()
        if arriving is not None:
            body = arriving.content
            self._arriving[body] = arriving, loop.time(), body.total_bytes
            held.callback(self._arriving.pop, body, None)

    @asynccontextmanager
    async def _room(
        self, whose: Hashable, arriving: web.BaseRequest | None, kept: int, turns: Iterable[asyncio.Semaphore]
    ) -> AsyncIterator[None]:
        """What a body takes while it waits, and no more of it comes. Raises TimeoutError where that is too much."""
        if arriving is None or not any(turn.locked() for turn in turns):
            yield
            return
        size = kept + arrivals.unread(arriving.content)
        if not arriving.content.is_eof():
            size = max(size, AT_ONCE)
        own = self._waiting[whose] + size
        if own > WAITING_BYTES // WAITING_SHARE or self._waiting.total() + size > WAITING_BYTES:
            raise TimeoutError("there is no room to wait")
        self._waiting[whose] += size
        try:
            with arrivals.paused(arriving):
                yield
        finally:
            self._waiting[whose] -= size
            if not self._waiting[whose]:
                del self._waiting[whose]

    def _hurry(self) -> None:
        """Give up the slowest body; one whose bytes lie here unread waits for us and is not slow."""
        now = asyncio.get_running_loop().time()
        slow = [
            ((body.total_bytes - had) / (now - since), request)
            for body, (request, since, had) in self._arriving.items()
            if now - since >= PATIENCE_SECONDS and arrivals.is_awaited(body)
        ]
        if slow:
            _, slowest = min(slow, key=lambda one: one[0])
            message = "The body came too slowly while others waited for their turn; send it again, or in smaller parts."
            arrivals.give_up(slowest, RequestError(408, "REQUEST_TIMEOUT", message))
