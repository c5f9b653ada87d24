"""Who holds a key: read from Postgres, remembered for moments, so that a revoked key is dead within seconds."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from postmeter.shared import api_keys, logs
from postmeter.shared.errors import RequestError
from postmeter.shared.postgres import Pool
from postmeter.shared.principal import Principal
from postmeter.shared.secret import Secret
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.gateway", "keys.sql")
FRESH_SECONDS = 2.0
"""How long a key that was found is not looked up again."""
GRACE_SECONDS = 60.0
"""How long a key that was found stays good while Postgres does not answer. Unknown keys get no grace."""
RETRY_SECONDS = 1.0
"""After a failed look-up, how long known keys are served without another attempt."""
REMEMBERED = 10_000


@dataclass(slots=True)
class _Known:
    digest: bytes
    principal: Principal
    seen: float


class Keys:
    """Verifies API keys. `now`: seconds of a clock that never goes back. verified: called for each that is genuine."""

    def __init__(
        self,
        pool: Pool,
        pepper: Secret,
        now: Callable[[], float] = time.monotonic,
        verified: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._pepper = pepper
        self._now = now
        self._verified = verified
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._down_until = 0.0

    async def verify(self, key: str | None) -> Principal:
        """The key's principal. Raises RequestError 401, or 503 when it cannot be looked up now."""
        key_id = api_keys.id_of(key or "")
        if key is None or key_id is None:
            raise _unknown()
        known = await self._find(key_id)
        if known is None or not hmac.compare_digest(known.digest, api_keys.digest(key, self._pepper)):
            raise _unknown()
        self._verified()
        return known.principal

    async def _find(self, key_id: str) -> _Known | None:
        known, now = self._known.get(key_id), self._now()
        if known is not None and (
            now - known.seen <= FRESH_SECONDS or (now < self._down_until and now - known.seen <= GRACE_SECONDS)
        ):
            return known
        try:
            row = await self._pool.fetchrow(_QUERIES["key"], key_id)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            logs.get().warning("API keys cannot be looked up", error=repr(error))
            self._down_until = self._now() + RETRY_SECONDS
            if known is not None and now - known.seen <= GRACE_SECONDS:
                return known
            raise RequestError(
                503, "UNAVAILABLE", "API keys cannot be checked now; try again.", None, {"Retry-After": "1"}
            ) from error
        return self._remember(key_id, row, now)

    def _remember(self, key_id: str, row: asyncpg.Record | None, now: float) -> _Known | None:
        if row is None:
            self._known.pop(key_id, None)
            return None
        caller = Principal(
            key_id=key_id,
            workspace=row["number"],
            workspace_id=row["workspace_id"],
            role=row["role"],
            scopes=row["scopes"],
            domains=row["domains"],
        )
        known = self._known[key_id] = _Known(row["hmac"], caller, now)
        self._known.move_to_end(key_id)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known


def _unknown() -> RequestError:
    # A new one each time: an exception that is raised again keeps the frames, and so the requests, of all times before.
    message = "The API key is missing, unknown or revoked. Send it as `Authorization: Bearer KEY`."
    return RequestError(401, "UNAUTHORIZED", message, None, {"WWW-Authenticate": "Bearer"})
