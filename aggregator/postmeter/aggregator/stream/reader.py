"""Reads one shard's stream from a position on, without consumer groups (ADR 0002)."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import redis.asyncio
from redis.exceptions import ResponseError

from postmeter.aggregator.errors import StreamSetBack
from postmeter.shared import records, streams

FIRST_COUNT = 16
MOST_COUNT = 1000
TRIM_MARGIN_MS = 60_000
LOOK_SECONDS = 1.0


class Entry(NamedTuple):
    """One stream entry: its id, the producer's batch id, the packed records. Missing fields are empty."""

    id: bytes
    batch: bytes
    packed: bytes


class StreamReader:
    """Reads forward from `position`, which the owner may set."""

    def __init__(self, client: redis.asyncio.Redis, shard: int, position: str) -> None:
        self._client = client
        self._stream = streams.stream(shard)
        self.position = position
        self._added = 0
        self._looked = 0.0
        self._per_entry = 0

    async def read(self, limit: int, block_ms: int) -> list[Entry]:
        """Entries after the position, until they hold `limit` records or none is left; waits for the first one.

        Moves the position. Memory stays bounded: how many entries are asked for follows from how many records
        the last ones held. Raises StreamSetBack (noticed within a second), and what Redis raises.
        """
        if time.monotonic() - self._looked > LOOK_SECONDS:
            await self._look()
        found: list[Entry] = []
        held = 0
        while held < limit:
            asked = max(1, min(MOST_COUNT, (limit - held) // (self._per_entry or max(1, limit // FIRST_COUNT))))
            entries = await self._next(asked, None if found else block_ms)
            found += entries
            fresh = sum(_records_in(entry.packed) for entry in entries)
            held += fresh
            if entries:
                self._per_entry = max(1, fresh // len(entries))
            if len(entries) < asked:
                break
        return found

    async def _next(self, count: int, block_ms: int | None) -> list[Entry]:
        answer: Any = await self._client.xread({self._stream: self.position}, count, block_ms)
        if not answer:
            return []
        ((_, pairs),) = answer
        entries = [Entry(i, fields.get(records.BATCH, b""), fields.get(records.RECORDS, b"")) for i, fields in pairs]
        self.position = entries[-1].id.decode()
        return entries

    async def _look(self) -> None:
        """Compare the stream with what was read of it. A stream that is missing counts as empty."""
        last, added = "0-0", 0
        try:
            info = await self._client.xinfo_stream(self._stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
        else:
            last, added = info["last-generated-id"].decode(), int(info.get("entries-added", 0))
        set_back = _order(last) < _order(self.position) or added < self._added
        self._added, self._looked = added, time.monotonic()
        if set_back:
            raise StreamSetBack(f"{self._stream} ends at {last} and had been read to {self.position}")

    async def trim(self, committed: str) -> None:
        """Forget entries that were counted a minute ago or earlier; `committed` is the position in Postgres."""
        before = _order(committed)[0] - TRIM_MARGIN_MS
        if before > 0:
            await self._client.xtrim(self._stream, minid=f"{before}-0", approximate=True)


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def _records_in(packed: bytes) -> int:
    """How many records an array header announces; 1 for what has none."""
    return min(int.from_bytes(packed[1:5], "big"), len(packed)) if packed[:1] == b"\xdd" else 1
