"""Large answers on their way: what those that callers have not taken yet hold in memory together is bounded (ADR 0084).

An answer lies in memory until its caller has taken it, who may be slow, and may ask again meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from contextlib import suppress

from aiohttp import web

from postmeter.shared.errors import Unavailable

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
        self._held: Counter[Hashable] = Counter()

    async def send(
        self, whose: Hashable, request: web.BaseRequest, response: web.StreamResponse, *, safe: bool
    ) -> None:
        """Send a large answer, and return when it has been taken; a small one is left to the server.

        whose: its caller's name. safe: nothing was changed by what it answers. Then it is refused where there is no
        room for it; raises Unavailable. What has changed something is answered, so that nobody does it again.
        """
        size = len(response.body) if isinstance(response, web.Response) and isinstance(response.body, bytes) else 0
        if size <= LARGE:
            return
        own = self._held[whose]
        if safe and own and (own + size > MOST // SHARE or self._held.total() + size > MOST):
            raise Unavailable(_FULL, 1)
        self._held[whose] += size
        try:
            with suppress(ConnectionError):  # the caller has left
                await response.prepare(request)
                await response.write_eof()
        finally:
            self._held[whose] -= size
            if not self._held[whose]:
                del self._held[whose]
