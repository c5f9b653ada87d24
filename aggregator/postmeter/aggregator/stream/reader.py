"""Reads the streams of several shards together, each from its position on, without consumer groups (ADR 0002)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import redis.asyncio
from redis.exceptions import ResponseError

from postmeter.aggregator.errors import StreamSetBack
from postmeter.shared.stream import records, streams

FIRST_COUNT = 8
MOST_COUNT = 1000
MOST_BYTES = 16 << 20
"""Of packed records that a reading holds, about. Two are held at a time, and what is made of them takes a multiple."""
TRIM_MARGIN_MS = 60_000
LOOK_SECONDS = 1.0


class Entry(NamedTuple):
    """One stream entry: its id, the producer's batch id, the packed records (missing fields are empty), its shard."""

    id: bytes
    batch: bytes
    packed: bytes
    shard: int | None = None


class Found(NamedTuple):
    """Entries, of each shard in their order. more: shards that hold more after them."""

    entries: list[Entry]
    more: set[int]


class StreamReader:
    """Reads forward from positions that it is given; it keeps none itself."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._added: dict[int, int] = {}
        self._stood: dict[int, deque[tuple[float, str]]] = {}
        self._looked: dict[int, float] = {}
        self._master_looked_at: object = None
        self._per_entry = 0
        self._entry_bytes = 1

    async def read(self, after: Mapping[int, str], limit: int, block_ms: int | None) -> Found:
        """Entries after these positions, by shard, until they hold `limit` records or MOST_BYTES, or none is left.

        Waits for the first one, or not at all (block_ms: None). Memory stays bounded: how many are asked for follows
        from how much the last ones held. Raises StreamSetBack (noticed within a second), and what Redis raises.
        """
        if self._master != self._master_looked_at:
            self._looked.clear()
            self._master_looked_at = self._master
        try:
            for shard, position in after.items():
                if time.monotonic() - self._looked.get(shard, 0.0) > LOOK_SECONDS:
                    await self._look(shard, position)
            found = await self._read(after, limit, block_ms)
        except Exception:
            # The next one to answer may be another server: before anything is read from it, it is looked at.
            self._looked.clear()
            raise
        # Where a connection was made anew, to another master, it is looked at before this is read, again.
        return found if self._master == self._master_looked_at else Found([], set(after))

    @property
    def _master(self) -> object:
        """What Sentinels have named; None where none are asked."""
        return getattr(self._client.connection_pool, "master_address", None)

    async def _read(self, after: Mapping[int, str], limit: int, block_ms: int | None) -> Found:
        positions = dict(after)
        left = set(positions)
        found: list[Entry] = []
        held = size = 0
        while left and held < limit and size < MOST_BYTES:
            per_entry = self._per_entry or max(1, limit // FIRST_COUNT)
            wanted = min((limit - held) // per_entry, (MOST_BYTES - size) // self._entry_bytes)
            asked = max(1, min(MOST_COUNT, wanted // len(left)))
            entries = await self._next(positions, left, asked, None if found else block_ms)
            found += entries
            fresh = sum(_records_in(entry.packed) for entry in entries)
            fresh_bytes = sum(len(entry.packed) for entry in entries)
            held, size = held + fresh, size + fresh_bytes
            if entries:
                self._per_entry = max(1, fresh // len(entries))
                self._entry_bytes = max(1, fresh_bytes // len(entries))
            counts = dict.fromkeys(left, 0)
            for entry in entries:
                assert entry.shard is not None
                counts[entry.shard] += 1
            left = {shard for shard, n in counts.items() if n == asked}
        return Found(found, left)

    async def _next(self, positions: dict[int, str], shards: set[int], count: int, block_ms: int | None) -> list[Entry]:
        names = {streams.stream(shard): shard for shard in sorted(shards)}
        answer: Any = await self._client.xread(
            {name: positions[shard] for name, shard in names.items()}, count, block_ms
        )
        entries: list[Entry] = []
        for name, pairs in answer or ():
            shard = names[name.decode()]
            entries += [
                Entry(i, fields.get(records.BATCH, b""), fields.get(records.RECORDS, b""), shard) for i, fields in pairs
            ]
            positions[shard] = entries[-1].id.decode()
        return entries

    async def _look(self, shard: int, position: str) -> None:
        """Compare a stream with what was counted of it. One that is missing counts as empty.

        The entry that was counted last is there, unless all up to it are trimmed: where it is not, a replica has taken
        over that had not got it, and what was added since may lie before it, by another clock.
        """
        last, added, has_lost = "0-0", 0, False
        stream = streams.stream(shard)
        try:
            info = await self._client.xinfo_stream(stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
        else:
            last, added = info["last-generated-id"].decode(), int(info.get("entries-added", 0))
            # Asked at once: whoever had the shard before may be trimming it.
            before: Any = await self._client.xrevrange(stream, position, "-", count=1)
            has_lost = bool(before) and before[0][0].decode() != position
        set_back = _order(last) < _order(position) or added < self._added.get(shard, 0)
        self._added[shard], self._looked[shard] = added, time.monotonic()
        if has_lost:
            raise StreamSetBack(shard, f"{stream} lacks {position}, which was read last")
        if set_back:
            raise StreamSetBack(shard, f"{stream} ends at {last} and had been read to {position}")

    async def trim(self, shard: int, position: str) -> None:
        """Forget entries that were counted more than a minute ago, to the last: they name people.

        Not by when they were appended: their ids are of Redis' clock, which may have been ahead, and what waited for
        longer is counted only now, by a Postgres whose replica may be behind. To be called every few seconds.
        Raises StreamSetBack: of a stream that another server holds since it was read nothing may go that lies before
        the position, by its clock.
        """
        now = time.monotonic()
        stood = self._stood.setdefault(shard, deque())
        if stood and _order(position) < _order(stood[-1][1]):  # Postgres or the stream was set back
            stood.clear()
        stood.append((now, position))
        while len(stood) > 1 and stood[1][0] <= now - TRIM_MARGIN_MS / 1000:
            stood.popleft()
        since, then = stood[0]
        milliseconds, sequence = _order(then)
        if milliseconds and since <= now - TRIM_MARGIN_MS / 1000:
            await self._look(shard, position)
            await self._client.xtrim(streams.stream(shard), minid=f"{milliseconds}-{sequence + 1}", approximate=False)

    def forget(self, shard: int) -> None:
        """The shard is read by somebody else now."""
        self._added.pop(shard, None)
        self._stood.pop(shard, None)
        self._looked.pop(shard, None)


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def _records_in(packed: bytes) -> int:
    """How many records an array header announces; 1 for what has none."""
    return min(int.from_bytes(packed[1:5], "big"), len(packed)) if packed[:1] == b"\xdd" else 1
