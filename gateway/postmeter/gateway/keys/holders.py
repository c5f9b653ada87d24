"""Who holds a key: read from Postgres and cached briefly, so that a revoked key stops working within seconds."""

from __future__ import annotations

import hmac
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from postmeter.gateway.keys.remembered import Clock, Remembered
from postmeter.shared.auth import api_keys
from postmeter.shared.auth.principal import Principal
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.gateway.keys", "holders.sql")


@dataclass(frozen=True, slots=True)
class _Key:
    digest: bytes
    principal: Principal


def weight(principal: Principal) -> int:
    """What a principal weighs where it is remembered: a thousand domains have hundreds of kilobytes."""
    return sum(map(sys.getsizeof, principal.domains or ()))


class Keys:
    """Verifies API keys. `now`: seconds of a clock that never goes back. verified: called for each that is genuine."""

    def __init__(
        self,
        pool: Pool,
        pepper: Secret,
        now: Clock = time.monotonic,
        verified: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._pepper = pepper
        self._verified = verified
        self._known = Remembered("API keys", self._look_up, now, weigh=lambda key: weight(key.principal))

    async def verify(self, key: str | None) -> Principal:
        """The key's principal. Raises RequestError 401, or 503 when it cannot be looked up now."""
        key_id = api_keys.id_of(key or "")
        if key is None or key_id is None:
            raise _unknown()
        known = await self._known.find(key_id)
        if known is None or not hmac.compare_digest(known.digest, api_keys.digest(key, self._pepper)):
            raise _unknown()
        self._verified()
        return known.principal

    async def _look_up(self, key_id: str) -> _Key | None:
        row = await self._pool.fetchrow(_QUERIES["key"], key_id)
        if row is None:
            return None
        caller = Principal(
            key_id=key_id,
            workspace=row["number"],
            workspace_id=row["workspace_id"],
            role=row["role"],
            scopes=row["scopes"],
            domains=row["domains"],
        )
        return _Key(row["hmac"], caller)


def _unknown() -> RequestError:
    # A new one each time: an exception that is raised again keeps the frames, and so the requests, of all times before.
    message = "The API key is missing, unknown or revoked. Send it as `Authorization: Bearer KEY`."
    return RequestError(401, "UNAUTHORIZED", message, None, {"WWW-Authenticate": "Bearer"})
