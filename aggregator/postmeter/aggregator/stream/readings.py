"""Readings of the streams, unpacked: the next is made while Postgres works on what the one before holds (ADR 0071)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from postmeter.aggregator.stream.batches import Batch, unpack
from postmeter.aggregator.stream.reader import StreamReader

PIECE = 1000
"""Records that are unpacked at a time; between, whoever else has something to do comes first."""


class Unpacked(NamedTuple):
    """One entry: what it holds, its shard and its position there."""

    batch: Batch
    shard: int
    position: str


class Reading(NamedTuple):
    """Entries, of each shard in their order. more: shards that hold more after them. at: when that was so, in seconds
    since 1970.
    """

    entries: list[Unpacked]
    more: set[int]
    at: float

    @property
    def records(self) -> int:
        """How many can be counted."""
        return sum(len(one.batch.records) for one in self.entries)

    def end(self, after: Mapping[int, str]) -> dict[int, str]:
        """The positions behind it, where it began at these."""
        return {**after, **{one.shard: one.position for one in self.entries}}


class Readings:
    """Of a few shards, one after the other."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self._ahead: asyncio.Task[Reading] | None = None
        self._after: dict[int, str] = {}

    async def next(self, after: dict[int, str], limit: int, block_ms: int) -> Reading:
        """What stands behind these positions: what was read ahead, if from just there. Raises what reading raises.

        Nothing is taken from what was read ahead after a failure, another shard's coming or going, or whatever else has
        moved a position: then it was read from others than these.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None and self._after == after:
            return await ahead
        await _end(ahead)
        return await self._read(after, limit, block_ms)

    def read_ahead(self, after: dict[int, str], limit: int) -> None:
        """Begin with what stands behind these positions; it is asked for next, or never."""
        self._after = after
        self._ahead = asyncio.create_task(self._read(after, limit, None))

    async def close(self) -> None:
        """Nothing is read any more."""
        ahead, self._ahead = self._ahead, None
        await _end(ahead)

    async def _read(self, after: Mapping[int, str], limit: int, block_ms: int | None) -> Reading:
        found = await self._reader.read(after, limit, block_ms)
        at, unpacked, n = time.time(), [], 0
        for entry in found.entries:
            assert entry.shard is not None
            batch = unpack(entry)
            unpacked.append(Unpacked(batch, entry.shard, entry.id.decode()))
            n += len(batch.records)
            if n >= PIECE:
                n = 0
                await asyncio.sleep(0)
        return Reading(unpacked, found.more, at)


async def _end(ahead: asyncio.Task[Reading] | None) -> None:
    if ahead is not None:
        ahead.cancel()
        await asyncio.wait([ahead])
        _ = ahead.cancelled() or ahead.exception()  # looked at, or asyncio says that nobody did
