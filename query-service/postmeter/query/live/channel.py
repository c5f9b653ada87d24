"""One workspace that is watched: its stores are asked once a second, however many are watching."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from redis.asyncio import Redis

from postmeter.query.engine.vocabulary import metrics_of
from postmeter.query.live import frames
from postmeter.query.live.frames import Position
from postmeter.query.live.reader import Reader
from postmeter.query.metrics import LiveMetrics
from postmeter.query.requests.connection_limiter import ConnectionLimiter
from postmeter.shared.errors import Unavailable
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import AWAY, Pool
from postmeter.shared.storage.rollups import ACTIVITY, added
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import live_events, streams
from postmeter.shared.stream.live_events import LiveEvent
from postmeter.shared.stream.redis_clients import FAILURES

_QUERIES = Queries("postmeter.query.live", "live.sql")
POLL_SECONDS = 1.0
LOOK_SECONDS = 3.0
"""How long a store may take for one look; then readers get a comment, and the next look comes."""
LOOK_EVENTS = 1_000
MOST_LOOKS = 6
"""How many events are read at a time, and how often a second: each part is sent on before the next one is read."""
RING_BYTES = 1 << 20
"""Bytes of events that are kept here for readers that reconnect; fewer than may wait for one reader."""
MAX_SERIES = 10_000
"""Series whose names are remembered."""
_MEANINGS = metrics_of(ACTIVITY)
_COUNTERS = _QUERIES["counters"].format(
    sums=", ".join(f"coalesce(sum({added(parts)}), 0)::bigint AS {name}" for name, parts in _MEANINGS.items())
)


class Channel:
    """Asks while it has readers. Ring: the last events as they went out, `(position, bytes)`, in order."""

    def __init__(
        self, workspace: int, pool: Pool, redis: Redis, limiter: ConnectionLimiter, metrics: LiveMetrics
    ) -> None:
        self.readers: set[Reader] = set()
        self._workspace = workspace
        self._pool = pool
        self._redis = redis
        self._limiter = limiter
        self._metrics = metrics
        self._key = streams.live_events(workspace)
        self._at: Position | None = None
        self._ring: deque[tuple[Position, bytes]] = deque()
        self._bytes = 0
        self._series: dict[int, tuple[str, str]] = {}
        self._began = asyncio.Event()

    async def run(self) -> None:
        """Ask the stores and send what is new, once a second, until cancelled."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        due = loop.time()
        # Redis' client may make another error of a cancellation that meets a connection which is just closed.
        while not task.cancelling():
            with self._trouble("events"):
                for _ in range(MOST_LOOKS):
                    async with asyncio.timeout(LOOK_SECONDS):
                        if not await self._events():
                            break
            last = frames.HEARTBEAT
            with self._trouble("counters"):
                async with asyncio.timeout(LOOK_SECONDS):
                    counters = await self._counters()
                last = frames.frame("counters", self._at or (0, 0), counters, time.time_ns() // 1_000_000)
            self._began.set()
            self._tell(last)
            due = max(due + POLL_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())

    def stop(self) -> None:
        """Nobody has to wait for the first look any more."""
        self._began.set()

    @contextmanager
    def _trouble(self, what: str) -> Iterator[None]:
        """Whatever happens to one look, the next one comes."""
        try:
            yield
        except (*FAILURES, Unavailable, *AWAY) as error:
            logs.get().warning("live streams have a pause", what=what, error=logs.words(error))
        except Exception:
            logs.get().exception("live streams have a pause", what=what)

    async def join(self, reader: Reader, last: str | None) -> None:
        """Add a reader; one that reconnects with the `last` id it had first gets what it missed."""
        await self._began.wait()
        reader.offer(frames.RETRY)
        if reader.events and last is not None:
            for data in self._missed(last):
                reader.offer(data)
        self.readers.add(reader)

    def _missed(self, last: str) -> Iterator[bytes]:
        known = frames.position(last)
        if known is None or all(at != known for at, _ in self._ring):
            yield frames.gap(self._ring[0][0] if self._ring else (0, 0), last)
        yield from (data for at, data in self._ring if known is None or at > known)

    def _tell(self, data: bytes) -> None:
        for reader in list(self.readers):
            if reader.is_slow():
                self._metrics.dropped.inc()
                self.readers.discard(reader)
                reader.drop()
            else:
                reader.offer(data)

    async def _counters(self) -> dict[str, int]:
        async with self._limiter.take(self._workspace):
            row = await self._pool.fetchrow(_COUNTERS, self._workspace)
        return dict(row) if row is not None else {}

    async def _events(self) -> bool:
        """Tell what has come since the last look; whether there may be more.

        Told at once when it is kept: whoever joins meanwhile gets it once.
        """
        entries = await self._look()
        found = [(at, fields) for at, fields in entries if self._at is None or at > self._at]
        torn = self._at is not None and (not entries or entries[0][0] != self._at)
        events = {at: msgspec.json.decode(fields[live_events.EVENT], type=LiveEvent)
                  for at, fields in found if live_events.EVENT in fields}  # fmt: skip
        await self._name({event.series for event in events.values()})
        out = []
        if torn and found:
            assert self._at is not None
            gap = frames.gap(found[0][0], frames.written(self._at))
            self._ring.clear()  # who comes again from before it is told of a gap
            self._bytes = 0
            out.append(gap)
        for at, fields in found:
            data = b""
            if at in events:
                data = frames.event(at, events[at], self._series.get(events[at].series, ("", "")))
            elif live_events.SKIPPED in fields:
                data = frames.frame("skipped", at, {"events": int(fields[live_events.SKIPPED])})
            self._keep(at, data)
            out.append(data)
        if found:
            self._at = found[-1][0]
        told = b"".join(out)
        for reader in self.readers:
            if reader.events:
                reader.offer(told)
        return len(entries) >= LOOK_EVENTS

    async def _look(self) -> list[tuple[Position, dict[bytes, bytes]]]:
        """Say that somebody watches, and read from the last event on, that one included where it is kept still."""
        now, _ = await self._redis.time()
        since = "-" if self._at is None else frames.written(self._at)
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.zremrangebyscore(streams.WATCHED, "-inf", now)
            pipeline.zadd(streams.WATCHED, {str(self._workspace): now + live_events.WATCH_SECONDS})
            pipeline.expire(self._key, live_events.KEPT_SECONDS)
            pipeline.xrange(self._key, since, "+", count=LOOK_EVENTS)
            *_, entries = await pipeline.execute()
        if not entries:
            # An entry in any case: without one there is no place to go on from.
            start = await self._redis.xadd(self._key, {live_events.START: b""})
            await self._redis.expire(self._key, live_events.KEPT_SECONDS)
            entries = [(start, {live_events.START: b""})]
        return [(frames.position(at) or (0, 0), fields) for at, fields in entries]

    async def _name(self, series: set[int]) -> None:
        """Look up the names of series that are new here."""
        if len(self._series) > MAX_SERIES:
            self._series.clear()
        unknown: list[Any] = sorted(series - self._series.keys())
        if unknown:
            async with self._limiter.take(self._workspace):
                rows = await self._pool.fetch(_QUERIES["series"], self._workspace, unknown)
            self._series |= {row["id"]: (row["campaign"], row["domain"]) for row in rows}

    def _keep(self, at: Position, data: bytes) -> None:
        self._ring.append((at, data))
        self._bytes += len(data)
        while self._bytes > RING_BYTES or len(self._ring) > live_events.KEPT:
            self._bytes -= len(self._ring.popleft()[1])
