"""An erasure, and the rows that one of its steps takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.store.memory import Transaction
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries

QUERIES = Queries("postmeter.aggregator.upkeep.erasure", "erasure.sql")


class Step(IntEnum):
    """In this order; the number is stored as that of what is done next."""

    BURY = 0
    """Tombstones: what comes late creates nothing."""
    FENCE = 1
    MESSAGES = 2
    """Once every transaction that has not seen the tombstones is over."""
    SECOND_FENCE = 3
    LATE = 4
    """What was being counted of these messages while they lost their names."""
    CONTACTS = 5
    RECIPIENT = 6
    LINKS = 7
    FILES = 8
    """Exports, live streams, what webhooks brought last."""
    REST = 9
    """When files are removed and streams are trimmed."""


@dataclass
class Erasure:
    """An erasure that is being worked on, inside a transaction. removed: rows by table, in this transaction."""

    held: Transaction
    workspace: int
    id: UUID
    to_hash: str
    requested_at: int
    removed: Counter[str] = field(default_factory=Counter)

    @property
    def connection(self) -> Connection:
        """Of the transaction."""
        return self.held.connection

    async def take(self, table: str, query: str, *arguments: object) -> int:
        """Run a statement of this workspace that tells how many rows of a table it removed."""
        n: int = await self.connection.fetchval(QUERIES[query], self.workspace, *arguments)
        if n:
            self.removed[table] += n
        return n
