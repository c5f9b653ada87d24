"""A workspace's texts by number: what is repeated again and again is stored once.

They are made before the flush that needs them and outside its transaction, as dimensions are: a row too many does no
harm, and no other flush waits for a text that everybody says.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Generic, TypeVar

from prometheus_client import Counter

from postmeter.aggregator.store.room import Room
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.stream.records import Event, Hit

REMEMBERED = 200_000
REMEMBERED_CHARACTERS = 1 << 25
RECOUNT_SECONDS = 10.0
BEYOND = 0
"""What stands for all texts beyond the workspace's limit."""
T = TypeVar("T", str, bytes)
Told = TypeVar("Told", Hit, Event)
Digests = dict[tuple[int, T], bytes]


def digest(text: str) -> bytes:
    """By which a text is found."""
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


class Dictionary(ABC, Generic[T]):
    """Remembers numbers across flushes and shards; forgets everything when that grows too much.

    ids: those remembered, by (workspace, text). limit: of a workspace's texts; see Room.
    """

    def __init__(self, limit: int, overflow: Counter) -> None:
        self._room = Room(limit, self._count, overflow, RECOUNT_SECONDS)
        self._characters = 0
        self.ids: dict[tuple[int, T], int] = {}
        self._texts: dict[int, T] = {}

    async def learn(self, connection: Connection, wanted: set[tuple[int, T]], unsure: Collection[int] = ()) -> None:
        """Find the numbers of these, or give them some, and remember them.

        unsure: workspaces whose texts may have other numbers than those remembered.
        """
        missing = {one for one in wanted if (known := self.ids.get(one)) is None or (known and one[0] in unsure)}
        if missing:
            self._remember(await self.resolve(connection, missing))

    async def resolve(self, connection: Connection, wanted: set[tuple[int, T]]) -> dict[tuple[int, T], int]:
        """The same without remembering any."""
        digests = self._digests(wanted)
        found = await self._find(connection, digests)
        shares = await self._room.shares(connection, wanted - found.keys())
        made = {one: digests[one] for share in shares for one in share.fitting}
        if made:
            await self._make(connection, made)
            found |= await self._find(connection, made)
        return found | {one: BEYOND for share in shares for one in share.beyond}

    def _digests(self, wanted: Collection[tuple[int, T]]) -> Digests[T]:
        return {one: digest(self.text(one[1])) for one in wanted}

    def remembered(self, number: int | None) -> T | None:
        """The text of a number, if it is remembered."""
        return None if number is None else self._texts.get(number)

    def forget(self) -> None:
        """Forget all numbers."""
        self.ids, self._texts, self._characters = {}, {}, 0

    @abstractmethod
    def text(self, one: T) -> str:
        """What is stored of it."""

    @abstractmethod
    async def _find(self, connection: Connection, digests: Digests[T]) -> dict[tuple[int, T], int]: ...

    @abstractmethod
    async def _make(self, connection: Connection, digests: Digests[T]) -> None: ...

    @abstractmethod
    async def _count(self, connection: Connection, workspace: int, most: int) -> int: ...

    def _remember(self, ids: dict[tuple[int, T], int]) -> None:
        characters = sum(len(one[1]) for one in ids if one not in self.ids)
        if len(self.ids) + len(ids) > REMEMBERED or self._characters + characters > REMEMBERED_CHARACTERS:
            self.forget()
        self._characters += characters
        self.ids |= ids
        self._texts |= {number: text for (_, text), number in ids.items() if number != BEYOND}
