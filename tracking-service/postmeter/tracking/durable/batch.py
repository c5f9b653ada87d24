"""A batch of records that waits to be made durable, and who is answered when it is."""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol, get_args

from postmeter.shared.stream.streams import shard_of

Kind = Literal["open", "click", "head"]
"""What a hit was: head is a HEAD of a click's URL, which is recorded but is not a click."""
KINDS: tuple[Kind, ...] = get_args(Kind)
# A batch this big takes no more; with the two in flight this bounds the memory that waiting hits take.
MAX_RECORDS = 10_000
# The same for bytes of clicks' records and answers, and of writes; an open's record is bounded by its parts, some 600
# bytes. What is larger than that by itself shares its batch with nothing: where a disk is nearly full it may not fit.
MAX_BYTES = 4 << 20
Keyed = tuple[int | None, bytes]
"""(its slot as postmeter.shared.stream.streams says, None: any; an encoded record)"""


class Client(Protocol):
    """A connection that waits for a batch."""

    def send(self, answer: bytes, batch: PendingBatch) -> None:
        """Write one answer; a client with several in one batch gets them in order."""

    def drop(self, answer: bytes, batch: PendingBatch, reason: str) -> None:
        """Write the answer of a hit that is given up, marked with the reason; in the same order."""

    def proceed(self) -> None:
        """Called after the answers of a batch whose `followers` the client has joined."""


class PendingBatch:
    """Encoded records, and who is answered when they are durable."""

    __slots__ = ("answers", "behind", "bytes", "counts", "followers", "records", "unrecorded", "waiting")

    def __init__(self) -> None:
        self.records: list[Keyed] = []
        self.answers: list[tuple[Client, bytes]] = []
        self.followers: list[Client] = []
        self.counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self.behind = False
        self.bytes = 0
        # Indexes of answers that come after a hit's of the same client, and record nothing themselves.
        self.unrecorded: set[int] = set()
        self.waiting: list[asyncio.Future[None]] = []

    @property
    def hits(self) -> int:
        """How many of its records are hits."""
        return sum(self.counts.values())

    def takes(self, size: int) -> bool:
        """Whether records of `size` bytes may join."""
        return len(self.records) < MAX_RECORDS and self.bytes + size <= MAX_BYTES

    def parts(self, shards: int, spare: int) -> dict[int, list[bytes]]:
        """The records by shard; those of no slot in the shard `spare`."""
        found: dict[int, list[bytes]] = {}
        for slot, record in self.records:
            shard = spare if slot is None else shard_of(slot, shards)
            part = found.get(shard)
            if part is None:
                found[shard] = [record]
            else:
                part.append(record)
        return found
