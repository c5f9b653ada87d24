"""Where batches wait on local disk while Redis is away.

Each process writes segments in a folder of its own below spool_dir and holds a lock on it for as long as it lives.
A process takes over a folder that it finds unlocked when it starts, with what waits and what is set aside there, so
that it can start on a full disk; folders that stay unlocked are emptied by whichever process finds them.

Segments grow as long as the disk takes them; when it does not, batches go into the reserve (ADR 0026).
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from postmeter.shared.errors import PostmeterError
from postmeter.shared.process import logs
from postmeter.tracking.durable import holder, reserve, segment
from postmeter.tracking.durable.reserve import Reserve
from postmeter.tracking.durable.segment import Segment, Spooled

T = TypeVar("T")
SEGMENT_BYTES = 16 << 20
USUAL_BYTES = 4096


class SpoolFull(PostmeterError):
    """The spool holds as many bytes as POSTMETER_SPOOL_BYTES allows, or nothing can be written."""


def remove(folder: Path) -> None:
    """Delete a folder without segments whose lock is ours, and what is set aside there."""
    for path in folder.glob(f"*{reserve.SUFFIX}"):
        path.unlink()
    (folder / holder.LOCK).unlink(missing_ok=True)
    folder.rmdir()


class Spool:
    """This process's segments. Everything that touches a file is done in one thread, one thing after the other.

    waiting: bytes that wait for Redis, those of adopted folders too.
    """

    def __init__(self, root: Path, producer: str, limit: int, reserved: int) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, lock = holder.settle(root, producer)
        self._locks = {self.folder: lock}
        self._beats: dict[Path, int] = {}
        self._limit = limit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._segment: Segment | None = None
        self._held = {path: path.stat().st_size for path in segment.segments(self.folder)}
        self._number = max((segment.number_of(path) for path in self._held), default=0)
        self._reserve = Reserve(self.folder, min(reserved, limit))
        self.waiting = sum(self._held.values())
        self._said_short = False
        self._fill()

    @property
    def reserve_bytes(self) -> int:
        """What is set aside for a full disk and not in use."""
        return self._reserve.bytes

    @property
    def disk_free_bytes(self) -> int:
        """What the disk still takes; 0 where it cannot be asked."""
        try:
            return reserve.free_bytes(self.root)
        except OSError:
            return 0

    async def write(self, batches: Sequence[Spooled]) -> None:
        """Return once these are on disk, all in one segment. Raises SpoolFull or OSError."""
        await self._in_thread(lambda: self._write(batches))

    def check(self) -> None:
        """Raise SpoolFull if a usual batch could not be written now."""
        current = self._segment
        if self._reserve.bytes or (current is not None and current.is_set_aside and current.takes(USUAL_BYTES)):
            return
        if not self._may_grow(USUAL_BYTES):
            raise SpoolFull(f"the spool holds {self.waiting} bytes, as many as POSTMETER_SPOOL_BYTES allows")
        if self.disk_free_bytes < USUAL_BYTES or not os.access(self.folder, os.W_OK):
            raise SpoolFull(f"the disk of {self.root} is full or not writable, and what was set aside is used up")

    async def ended(self, left_out: Collection[Path] = ()) -> list[Path]:
        """Segments that are never written again, oldest first; the present one is ended if there is no other.

        So one that cannot be moved does not cost the reserve a new file at each attempt. left_out: not these.
        """
        return await self._in_thread(lambda: self._ended(left_out))

    async def forget(self, path: Path) -> None:
        """Let go of a segment whose batches are all in Redis."""
        await self._in_thread(lambda: self._forget(path))

    async def set_aside(self) -> None:
        """Complete the reserve, if the disk has room."""
        if not self._reserve.is_complete:
            await self._in_thread(self._fill)

    async def adopt(self) -> list[Path]:
        """Further folders of dead processes, which are locked by us and whose bytes count as ours from now."""
        return await self._in_thread(self._adopt)

    async def abandon(self, folder: Path, *, keep: bool) -> None:
        """Let go of a folder that was adopted, and delete it unless it is to be kept with what is set aside in it."""
        await self._in_thread(lambda: self._abandon(folder, keep))

    async def live(self) -> None:
        """Show other hosts that we live, until cancelled."""
        while True:
            await self._in_thread(self._beat)
            await asyncio.sleep(holder.BEAT_SECONDS)

    def close(self) -> None:
        """Let go of all folders. Ours stays, with what is set aside, for the process that comes next."""
        self._thread.shutdown()
        self._end()
        if not segment.segments(self.folder) and not self._reserve.bytes:
            remove(self.folder)
        for lock in self._locks.values():
            holder.release(lock)

    # -- in the thread

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _write(self, batches: Sequence[Spooled]) -> None:
        size = sum(len(batch.packed) + segment.FRAME_BYTES for batch in batches)
        failure: OSError = OSError(errno.ENOSPC, "the spool holds as much as it may")
        for choose in (self._present, self._growing, self._set_aside):
            try:
                chosen = choose(size)
                if chosen is not None:
                    self._segment = chosen
                    self._append(chosen, batches)
                    return
            except OSError as error:
                failure = error
                self._end()
        if not self._may_grow(size):
            raise SpoolFull(f"the spool holds {self.waiting} bytes, as many as it may")
        raise failure

    def _append(self, chosen: Segment, batches: Sequence[Spooled]) -> None:
        is_new = not chosen.size
        chosen.append(batches)
        if is_new:
            holder.sync(self.folder)
        self._held[chosen.path] = chosen.size
        self._count()

    def _present(self, size: int) -> Segment | None:
        present = self._segment
        if present is not None and present.takes(size) and (present.is_set_aside or self._may_grow(size)):
            return present
        self._end()
        return None

    def _growing(self, size: int) -> Segment | None:
        if not self._may_grow(size):
            return None
        self._number += 1
        return Segment.create(self.folder / segment.new_name(self._number), SEGMENT_BYTES)

    def _set_aside(self, _: int) -> Segment | None:
        self._number += 1
        taken = self._reserve.take(self._number)
        if taken is not None:
            logs.get().warning("the spool writes to what was set aside", bytes_left=self._reserve.bytes)
        return taken

    def _may_grow(self, size: int) -> bool:
        return self.waiting + self._reserve.bytes + size <= self._limit

    def _end(self) -> None:
        ended, self._segment = self._segment, None
        if ended is not None:
            ended.close()
            if not ended.size and not self._reserve.give_back(ended.path):
                ended.path.unlink()

    def _ended(self, left_out: Collection[Path]) -> list[Path]:
        present = self._segment.path if self._segment is not None else None
        found = [path for path in segment.segments(self.folder) if path != present and path not in left_out]
        if not found:
            self._end()
            found = [path for path in segment.segments(self.folder) if path not in left_out]
        return found

    def _forget(self, path: Path) -> None:
        if path.parent != self.folder or not self._reserve.give_back(path):
            path.unlink()
        self._held.pop(path, None)
        self._count()

    def _adopt(self) -> list[Path]:
        adopted = []
        failure: OSError | None = None
        for folder in holder.folders(self.root):
            if folder in self._locks or self._is_elsewhere(folder):
                continue
            try:
                if self._take_over(folder):
                    adopted.append(folder)
            except FileNotFoundError:
                continue  # another process was faster
            except OSError as error:
                failure = error  # what waits in the others is drained all the same
        self._count()
        if failure is not None and not adopted:
            raise failure
        return adopted

    def _take_over(self, folder: Path) -> bool:
        lock = holder.try_lock(folder)
        if lock is None:
            return False
        try:
            self._held |= {path: path.stat().st_size for path in segment.segments(folder)}
        except OSError:
            holder.release(lock)
            raise
        self._locks[folder] = lock
        return True

    def _is_elsewhere(self, folder: Path) -> bool:
        """Whether a process of another host may live there: it must not be heard of from one look to the next."""
        found = holder.holder(folder)
        if found is None or found.is_here:
            return False
        try:
            now = holder.last_beat(folder)
        except OSError:
            return True
        before, self._beats[folder] = self._beats.get(folder), now
        if before is not None and before != now:
            logs.get().error("another host works in the spool; each needs its own", folder=str(folder), holder=found)
        return before != now

    def _beat(self) -> None:
        for lock in self._locks.values():
            holder.beat(lock)

    def _abandon(self, folder: Path, keep: bool) -> None:
        lock = self._locks.pop(folder)
        try:
            if not keep:
                remove(folder)
        finally:
            holder.release(lock)

    def _fill(self) -> None:
        try:
            self._reserve.fill()
            self._said_short = False
        except OSError as error:
            if not self._said_short:
                logs.get().warning(
                    "disk space for the spool cannot be set aside; free some",
                    folder=str(self.folder),
                    error=error.strerror,
                    set_aside=self._reserve.bytes,
                )
            self._said_short = True

    def _count(self) -> None:
        self.waiting = sum(self._held.values())
