"""A spool that no process works on any more, such as on the volume of a removed pod: `postmeter spool drain`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from postmeter.shared.errors import PostmeterError
from postmeter.shared.process.settings import AppendSettings
from postmeter.shared.stream import records
from postmeter.shared.stream.records import Hit
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.tracking.durable import drainer, holder, segment, spool
from postmeter.tracking.durable.appender import Appender
from postmeter.tracking.durable.holder import SpoolTaken
from postmeter.tracking.durable.segment import SegmentUnreadable

WORK = "postmeter spool drain"
APPEND_SECONDS = 30.0
"""How long Redis may take for one batch: nobody waits for an answer here."""
REMEMBERED_DAYS = 8
"""How long the aggregator knows which batches it has counted (ADR 0003)."""


class RedisAway(PostmeterError):
    """Redis does not take batches. The message says why, and what to do."""


@dataclass
class Drained:
    """What is in Redis now. oldest: days since the first of its segments was written last. unread: why any are not."""

    segments: int = 0
    batches: int = 0
    hits: int = 0
    oldest: float = 0.0
    unread: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.batches} batches with {self.hits} hits"


@contextmanager
def taken(root: Path) -> Iterator[dict[Path, int]]:
    """All folders of a spool and our lock on each, for as long as the block takes.

    Raises SpoolTaken, before anything is done, where a process works in one of them, here or on another host.
    """
    if not root.is_dir():
        raise SpoolTaken(f"{root} is not a folder; give the one that POSTMETER_SPOOL_DIR named")
    found = holder.folders(root)
    if not found and holder.is_folder(root):
        raise SpoolTaken(f"{root} is the folder of one process; give {root.parent}, which POSTMETER_SPOOL_DIR named")
    if (other := holder.elsewhere(root)) is not None:
        raise _in_use(*other)
    locks: dict[Path, int] = {}
    try:
        for folder in found:
            lock = holder.try_lock(folder, WORK)
            if lock is None:
                raise _in_use(folder, holder.holder(folder))
            locks[folder] = lock
        yield locks
    finally:
        for lock in locks.values():
            holder.release(lock)


async def drain(locks: dict[Path, int], settings: AppendSettings, moved: Drained) -> None:
    """Append what the folders hold, under the ids that it has, and delete what is appended; `moved` counts it.

    In memory there is one segment at a time. Ended at any point and begun again it counts nothing twice, as long as the
    aggregator remembers (REMEMBERED_DAYS). Raises RedisAway, and OSError where the disk deletes nothing.
    """
    appender = Appender(settings.redis_url, APPEND_SECONDS, settings.wait_replicas)
    living = asyncio.create_task(_live(locks))
    try:
        with _redis():
            await appender.ping()
        for folder in locks:
            for path in segment.segments(folder):
                await _move(path, appender, settings.shards, moved)
            if not segment.segments(folder):
                spool.remove(folder)
    finally:
        living.cancel()
        await appender.close()


async def _move(path: Path, appender: Appender, shards: int, moved: Drained) -> None:
    written = await asyncio.to_thread(lambda: path.stat().st_mtime)
    try:
        with _redis():
            async for batch in drainer.append(path, appender, shards):
                moved.batches += 1
                moved.hits += _hits(batch.packed)
    except SegmentUnreadable as fault:
        moved.unread.append(str(fault))
        return
    await asyncio.to_thread(path.unlink)
    moved.segments += 1
    moved.oldest = max(moved.oldest, (time.time() - written) / 86400)


@contextmanager
def _redis() -> Iterator[None]:
    """Around what nothing but Redis can fail."""
    try:
        yield
    except FAILURES as failure:
        raise RedisAway(f"Redis does not take batches: {failure or type(failure).__name__}") from failure


def _hits(packed: bytes) -> int:
    try:
        return sum(type(record) is Hit for record in records.decode(packed))
    except (ValueError, RecursionError):
        return 0  # the aggregator says what is wrong with it


async def _live(locks: dict[Path, int]) -> None:
    """Show other hosts that we live."""
    while True:
        for lock in locks.values():
            holder.beat(lock)
        await asyncio.sleep(holder.BEAT_SECONDS)


def _in_use(folder: Path, who: object) -> SpoolTaken:
    return SpoolTaken(
        f"in {folder} works {who or 'a process'}: it drains the spool itself. Only a spool that no process runs on is"
        " drained by this command; nothing was done"
    )
