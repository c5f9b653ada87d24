"""Connections that know Postgres' own array types from another connection, rather than ask for them anew.

asyncpg asks the server what int[] is on each connection that comes across it, with a query over its catalogs: 8 ms of
CPU for the first type of a connection and 4 for each other one, where to connect takes 5. A service's connections come
across five of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    Base = asyncpg.Connection[asyncpg.Record]
else:
    Base = asyncpg.Connection

FIRST_OF_USERS = 16384
"""The lowest oid that Postgres gives to what is made in a database; what is below is the same in all of a version."""
_known: dict[tuple[int, frozenset[int]], Any] = {}
"""What servers of a major version have answered of such types."""


class Connection(Base):
    """asyncpg's own, but for what it asks of types."""

    async def _introspect_types(self, typeoids: Collection[int], timeout: float | None) -> Any:
        """The rows that asyncpg makes codecs of, and the statement that has found them, of which it needs the name."""
        asked = self.get_server_version().major, frozenset(typeoids)
        if asked not in _known:
            found = await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]  # not in the stubs
            if max(typeoids) >= FIRST_OF_USERS:
                return found
            _known[asked] = found
        return _known[asked]
