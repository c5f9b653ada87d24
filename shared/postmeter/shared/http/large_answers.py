"""Large answers on their way: what those that callers have not taken yet hold in memory together is bounded (ADR 0084).

An answer lies in memory until its caller has taken it, who may be slow, and may ask again meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from contextlib import suppress

from aiohttp import web

from postmeter.shared.errors import Unavailable
from postmeter.shared.http.protocol import begin

LARGE = 256 << 10
"""Bytes. What has no more is not looked at."""
MOST = 128 << 20
"""Bytes of all together, in one process."""
SHARE = 2
"""Those of one caller may hold this part of it: a half."""
_FULL = "Too many large answers are on their way; take them first, or ask for less at once."


class LargeAnswers:
    """Sends those of one process, and knows what they hold."""

    def __init__(self) -> None:
        self._all = _Held()
        self._of: dict[Hashable, _Held] = {}

    def require_room(self, whose: Hashable) -> None:
        """Before anything is changed whose answer may be large: raises Unavailable where this caller holds too much.

        `send` would not refuse that answer any more.
        """
        own = self._of.get(whose)
        if own is not None and (own.size > MOST // SHARE or self._all.size > MOST):
            raise Unavailable(_FULL, 1)

    async def send(
        self, whose: Hashable, request: web.BaseRequest, response: web.StreamResponse, *, safe: bool
    ) -> None:
        """Send a large answer, and return when it has been taken; a small one is left to the server.

        whose: its caller's name. safe: nothing was changed by what it answers. Then it is refused where there is no
        room for it; raises Unavailable. What has changed something is answered, so that nobody does it again.
        """
        body = response.body if isinstance(response, web.Response) else None
        if not isinstance(body, bytes) or len(body) <= LARGE:
            return
        own = self._of.get(whose) or _Held()
        if safe and own.size and (own.size_with(body) > MOST // SHARE or self._all.size_with(body) > MOST):
            raise Unavailable(_FULL, 1)
        self._of[whose] = own
        own.add(body)
        self._all.add(body)
        try:
            with suppress(ConnectionError):  # the caller has left
                await begin(request, response)
                request.writer.send_headers()  # else they are joined with the body, in a copy of it
                await response.write_eof()
        finally:
            self._all.remove(body)
            own.remove(body)
            if not own.size:
                del self._of[whose]


class _Held:
    """Bodies that are held. One that several readers are sent lies in memory once, and is counted once.

    size: bytes of them all.
    """

    def __init__(self) -> None:
        self.size = 0
        self._readers: Counter[int] = Counter()
        """By the body's id: it is alive while somebody is sent it."""

    def size_with(self, body: bytes) -> int:
        """What `size` becomes with one more reader of this body."""
        return self.size if id(body) in self._readers else self.size + len(body)

    def add(self, body: bytes) -> None:
        """One more reader of this body."""
        self.size = self.size_with(body)
        self._readers[id(body)] += 1

    def remove(self, body: bytes) -> None:
        """One reader less."""
        self._readers[id(body)] -= 1
        if not self._readers[id(body)]:
            del self._readers[id(body)]
            self.size -= len(body)
