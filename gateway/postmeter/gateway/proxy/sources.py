"""Webhook sources: found by the id in a webhook's URL, cached briefly."""

from __future__ import annotations

import time

import msgspec

from postmeter.gateway.keys.remembered import Clock, Remembered
from postmeter.shared.errors import RequestError
from postmeter.shared.storage import sources
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sources import SealedSource
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.gateway.proxy", "sources.sql")
GRACE_SECONDS = 3600.0
"""How long one that was found stays good while Postgres does not answer: deliveries that are turned away for long
are lost, and the source's secret protects them anyway."""


class SourceBook:
    """Finds sources. `now`: seconds of a clock that never goes back."""

    def __init__(self, pool: Pool, now: Clock = time.monotonic) -> None:
        self._pool = pool
        self._known = Remembered("Webhooks", self._look_up, now, GRACE_SECONDS, _weight)

    async def find(self, provider: str, source_id: str) -> SealedSource:
        """The source. Raises RequestError 404, or 503 when it cannot be looked up now."""
        source = await self._known.find(source_id) if sources.is_id(source_id) else None
        if source is None or source.provider != provider:
            raise _unknown()
        return source

    async def _look_up(self, source_id: str) -> SealedSource | None:
        row = await self._pool.fetchrow(_QUERIES["source"], source_id)
        if row is None:
            return None
        return SealedSource(
            id=source_id,
            workspace=row["workspace"],
            provider=row["provider"],
            secret=row["secret"],
            options=msgspec.json.decode(row["options"], type=dict[str, str]),
        )


def _weight(source: SealedSource) -> int:
    return len(source.secret) + sum(map(len, source.options.values()))


def _unknown() -> RequestError:
    # A new one each time: an exception that is raised again keeps the frames, and so the requests, of all times before.
    return RequestError(404, "NOT_FOUND", "There is no such webhook.")
