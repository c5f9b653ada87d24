"""Webhook sources: found by the id in a webhook's URL, remembered for moments."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import asyncpg
import msgspec

from postmeter.shared.errors import RequestError
from postmeter.shared.process import logs
from postmeter.shared.storage import sources
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sources import Source
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.gateway.proxy", "sources.sql")
FRESH_SECONDS = 2.0
"""How long a source that was found is not looked up again."""
GRACE_SECONDS = 3600.0
"""How long one that was found stays good while Postgres does not answer: deliveries that are turned away for long
are lost, and the source's secret protects them anyway."""
REMEMBERED = 1_000


class SourceBook:
    """Finds sources. `now`: seconds of a clock that never goes back."""

    def __init__(self, pool: Pool, now: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._now = now
        self._known: OrderedDict[str, tuple[Source, float]] = OrderedDict()

    async def find(self, provider: str, source_id: str) -> Source:
        """The source. Raises RequestError 404, or 503 when it cannot be looked up now."""
        if not sources.is_id(source_id):
            raise _unknown()
        source, seen = self._known.get(source_id, (None, 0.0))
        if source is None or self._now() - seen > FRESH_SECONDS:
            source = await self._look_up(source_id, source, seen)
        if source is None or source.provider != provider:
            raise _unknown()
        return source

    async def _look_up(self, source_id: str, known: Source | None, seen: float) -> Source | None:
        try:
            row = await self._pool.fetchrow(_QUERIES["source"], source_id)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            logs.get().warning("webhook sources cannot be looked up", error=repr(error))
            if known is not None and self._now() - seen <= GRACE_SECONDS:
                return known
            raise RequestError(
                503, "UNAVAILABLE", "Webhooks cannot be looked up now; try again.", None, {"Retry-After": "5"}
            ) from error
        if row is None:
            self._known.pop(source_id, None)
            return None
        found = Source(
            id=source_id,
            workspace=row["workspace"],
            provider=row["provider"],
            secret=row["secret"],
            options=msgspec.json.decode(row["options"], type=dict[str, str]),
        )
        self._known[source_id] = (found, self._now())
        self._known.move_to_end(source_id)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found


def _unknown() -> RequestError:
    # A new one each time: an exception that is raised again keeps the frames, and so the requests, of all times before.
    return RequestError(404, "NOT_FOUND", "There is no such webhook.")
