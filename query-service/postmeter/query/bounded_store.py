"""What is kept, within a number of bytes: the least recently used goes first, of the workspaces that hold most."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

OVERHEAD = 500
"""About how many bytes an entry takes beside the answer itself."""
LARGEST = 16
"""An answer that needs more than this part of the memory is not kept."""
LEFT = 8
"""When it is full, this part of the memory is made free at once."""


class _Entry(NamedTuple, Generic[T]):
    value: T
    size: int


@dataclass
class _Held(Generic[T]):
    """What one workspace holds: entries of one version, the one that was asked for last at the end."""

    version: int
    size: int = 0
    entries: OrderedDict[Hashable, _Entry[T]] = field(default_factory=OrderedDict)


class Store(Generic[T]):
    """What one process keeps, of each workspace that of its latest version. most: bytes; 0: nothing is kept.

    largest: what needs more than this part of the memory is not kept.
    """

    def __init__(self, most: int, largest: int = LARGEST) -> None:
        self._most = most
        self._largest = largest
        self._held: dict[int, _Held[T]] = {}
        self.bytes = 0

    def get(self, workspace: int, version: int, key: Hashable) -> T | None:
        """What is kept for the key of that version; None if nothing is."""
        held = self._held.get(workspace)
        if held is None or held.version != version:
            return None
        found = held.entries.get(key)
        if found is None:
            return None
        held.entries.move_to_end(key)
        return found.value

    def put(self, workspace: int, version: int, key: Hashable, value: T, size: int) -> int:
        """Keep a value of `size` bytes, unless a later version is known. Returns how many others had to go for that."""
        held = self._held.get(workspace)
        if not self.fits(size) or (held is not None and held.version > version):
            return 0
        if held is None or held.version < version:
            if held is not None:
                self.bytes -= held.size
            held = self._held[workspace] = _Held(version)
        size += OVERHEAD
        known = held.entries.pop(key, None)
        grown = size - (0 if known is None else known.size)
        held.entries[key] = _Entry(value, size)
        held.size += grown
        self.bytes += grown
        return self._make_room() if self.bytes > self._most else 0

    def __iter__(self) -> Iterator[T]:
        """Everything that is kept."""
        return (entry.value for held in self._held.values() for entry in held.entries.values())

    def fits(self, size: int) -> bool:
        """Whether a value of `size` bytes is not too large."""
        return self._largest * (size + OVERHEAD) <= self._most

    def _make_room(self) -> int:
        """Take from those who hold more than their fair share until a part of the memory is free."""
        share = self._fair_share(self._most - self._most // LEFT)
        evicted = 0
        for workspace, held in list(self._held.items()):
            while held.size > share:
                _, entry = held.entries.popitem(last=False)
                held.size -= entry.size
                self.bytes -= entry.size
                evicted += 1
            if not held.entries:
                del self._held[workspace]
        return evicted

    def _fair_share(self, room: int) -> int:
        """The bytes that each may hold so that all have room; whoever needs less leaves the rest to the others."""
        sizes = sorted(held.size for held in self._held.values())
        for place, size in enumerate(sizes):
            share = room // (len(sizes) - place)
            if size > share:
                return share
            room -= size
        return room
