"""Tables with transactions as READ COMMITTED has them: what is committed, what a transaction changes, and row locks.

A statement sees what was committed when it began, and what its own transaction has done. A row that it writes is locked
until the transaction ends; where another has it, the statement waits, and then looks at that row anew, and at no other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

Row = dict[str, Any]
"""Never changed in place."""
Key = Any
Place = tuple[str, Key]


class Wait(Exception):
    """A row is another transaction's."""

    def __init__(self, holder: Transaction) -> None:
        self.holder = holder


class Store:
    """What is committed. commits: told of each commit what it has changed, (before, after) by place."""

    def __init__(self, clock: Callable[[], int], commits: Callable[[Transaction, dict[Place, Any]], None]) -> None:
        """clock: microseconds since 1970."""
        self.tables: dict[str, dict[Key, Row]] = {}
        self.clock = clock
        self.locks: dict[Place, Transaction] = {}
        self.looking: list[Transaction] = []
        self._numbers = itertools.count(1)
        self._commits = commits

    def number(self) -> int:
        """The next of a sequence."""
        return next(self._numbers)

    def rows(self, table: str) -> list[Row]:
        """What is committed in a table."""
        return list(self.tables.get(table, {}).values())

    def apply(self, transaction: Transaction, changed: dict[str, dict[Key, Row | None]]) -> None:
        found: dict[Place, Any] = {}
        for table, rows in changed.items():
            committed = self.tables.setdefault(table, {})
            for key, row in rows.items():
                before = committed.get(key)
                found[table, key] = before, row
                for other in self.looking:
                    if other is not transaction:
                        other.seen.setdefault((table, key), before)
                if row is None:
                    committed.pop(key, None)
                else:
                    committed[key] = row
        self._commits(transaction, found)


class Transaction:
    """Of one session. of: whose it is. moved: shards that it has moved, with their epochs."""

    def __init__(self, store: Store, of: str) -> None:
        self.store = store
        self.of = of
        self.began = store.clock()
        self.changed: dict[str, dict[Key, Row | None]] = {}
        self.seen: dict[Place, Row | None] = {}
        self.moved: list[tuple[int, int]] = []
        self.ends: list[Callable[[], None]] = []
        self.waits_for: Transaction | None = None
        self.is_over = False
        self._held: list[Place] = []

    # -- a statement reads

    def get(self, table: str, key: Key) -> Row | None:
        """A row as the statement sees it."""
        own = self.changed.get(table)
        if own is not None and key in own:
            return own[key]
        if self.seen and (table, key) in self.seen:
            return self.seen[table, key]
        return self.store.tables.get(table, {}).get(key)

    def rows(self, table: str) -> Iterator[tuple[Key, Row]]:
        """All rows of a table as the statement sees them."""
        committed, own = self.store.tables.get(table, {}), self.changed.get(table)
        if not own and not self.seen:
            yield from list(committed.items())
            return
        keys = (
            dict.fromkeys(committed) | dict.fromkeys(own or ()) | dict.fromkeys(k for t, k in self.seen if t == table)
        )
        for key in keys:
            row = self.get(table, key)
            if row is not None:
                yield key, row

    # -- a statement writes

    def lock(self, table: str, key: Key) -> Row | None:
        """Hold a row until the transaction ends; returns it as it is now. Raises Wait."""
        place = (table, key)
        holder = self.store.locks.get(place)
        if holder is not None and holder is not self:
            raise Wait(holder)
        if holder is None:
            self.store.locks[place] = self
            self._held.append(place)
        own = self.changed.get(table)
        if own is not None and key in own:
            return own[key]
        return self.store.tables.get(table, {}).get(key)

    def is_free(self, table: str, key: Key) -> bool:
        """Whether nobody else holds it."""
        return self.store.locks.get((table, key), self) is self

    def take(self, table: str, key: Key, fits: Callable[[Row], bool] = lambda _: True) -> Row | None:
        """Lock a row that fits, before and after waiting for it; None where it does not."""
        seen = self.get(table, key)
        if seen is None or not fits(seen):
            return None
        row = self.lock(table, key)
        return row if row is not None and fits(row) else None

    def put(self, table: str, key: Key, row: Row | None) -> None:
        """Write a row that is held; None: delete it."""
        self.changed.setdefault(table, {})[key] = row

    def change(self, table: str, key: Key, fits: Callable[[Row], bool], **values: Any) -> Row | None:
        """UPDATE ... WHERE; returns the row as it is now, None where it does not fit."""
        row = self.take(table, key, fits)
        if row is None:
            return None
        row = row | values
        self.put(table, key, row)
        return row

    def insert(self, table: str, key: Key, row: Row) -> bool:
        """INSERT ... ON CONFLICT DO NOTHING: whether it is new. Waits for who inserts the same."""
        own = self.changed.get(table)
        if (own is not None and own.get(key) is not None) or key in self.store.tables.get(table, {}):
            return False
        if self.lock(table, key) is not None:
            return False
        self.put(table, key, row)
        return True

    def upsert(self, table: str, key: Key, new: Row, merged: Callable[[Row], Row | None]) -> None:
        """INSERT ... ON CONFLICT DO UPDATE; merged: what becomes of the row that is there, None: nothing."""
        known = self.lock(table, key)
        row = new if known is None else merged(known)
        if row is not None:
            self.put(table, key, row)

    # -- how it ends

    def copy(self) -> dict[str, dict[Key, Row | None]]:
        """What it has changed until now, to go back to."""
        return {table: dict(rows) for table, rows in self.changed.items()}

    def commit(self) -> None:
        self.store.apply(self, self.changed)
        self._end()

    def roll_back(self) -> None:
        self._end()

    def _end(self) -> None:
        self.is_over = True
        for place in self._held:
            del self.store.locks[place]
        self._held.clear()
        ends, self.ends = self.ends, []
        for each in ends:
            each()
