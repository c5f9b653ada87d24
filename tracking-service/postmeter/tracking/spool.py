"""Where batches wait on local disk while Redis is away.

Each process writes segments in a folder of its own below spool_dir and holds a lock on it for as long as it lives.
A process takes over a folder that it finds unlocked when it starts, with what waits and what is set aside there, so
that it can start on a full disk; folders that stay unlocked are emptied by whichever process finds them.

Segments grow as long as the disk takes them; when it does not, batches go into the reserve (ADR 0026).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from postmeter.shared import logs
from postmeter.shared.errors import PostmeterError
from postmeter.tracking import reserve, segment
from postmeter.tracking.reserve import Reserve
from postmeter.tracking.segment import Segment, Spooled

T = TypeVar("T")
SEGMENT_BYTES = 16 << 20
USUAL_BYTES = 4096
LOCK = "lock"


class SpoolFull(PostmeterError):
    """The spool holds as many bytes as POSTMETER_SPOOL_BYTES allows, or nothing can be written."""


def try_lock(folder: Path) -> int | None:
    """Lock a process's folder: a file descriptor to hold on to, or None if its process lives."""
    path = folder / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever emptied the folder meanwhile has removed the file that we hold.
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def remove(folder: Path) -> None:
    """Delete a folder without segments whose lock is ours, and what is set aside there."""
    for path in folder.glob(f"*{reserve.SUFFIX}"):
        path.unlink()
    (folder / LOCK).unlink(missing_ok=True)
    folder.rmdir()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _left_by_dead(root: Path) -> tuple[Path, int] | None:
    """A folder that nobody holds, with our lock on it."""
    for folder in sorted(root.iterdir()):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            lock = try_lock(folder)
            if lock is not None:
                return folder, lock
    return None


class Spool:
    """This process's segments. Everything that touches a file is done in one thread, one thing after the other.

    waiting: bytes that wait for Redis, those of adopted folders too.
    """

    def __init__(self, root: Path, producer: str, limit: int, reserved: int) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = _left_by_dead(root)
        if found is None:
            folder = root / producer
            folder.mkdir(mode=0o700)
            _sync_folder(root)
            found = folder, -1
        self.folder, lock = found
        self._lock = try_lock(self.folder) if lock < 0 else lock
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

    async def write(self, shard: int, batch_id: bytes, packed: bytes) -> None:
        """Return once the batch is on disk. Raises SpoolFull or OSError."""
        await self._in_thread(lambda: self._write(Spooled(shard, batch_id, packed)))

    def check(self) -> None:
        """Raise SpoolFull if a usual batch could not be written now."""
        current = self._segment
        if self._reserve.bytes or (current is not None and current.is_set_aside and current.takes(USUAL_BYTES)):
            return
        if not self._may_grow(USUAL_BYTES):
            raise SpoolFull(f"the spool holds {self.waiting} bytes, as many as POSTMETER_SPOOL_BYTES allows")
        if self.disk_free_bytes < USUAL_BYTES or not os.access(self.folder, os.W_OK):
            raise SpoolFull(f"the disk of {self.root} is full or not writable, and what was set aside is used up")

    async def ended(self) -> list[Path]:
        """Segments that are never written again, oldest first; the present one is ended if there is no other.

        So one that cannot be moved does not cost the reserve a new file at each attempt.
        """
        return await self._in_thread(self._ended)

    async def forget(self, path: Path) -> None:
        """Let go of a segment whose batches are all in Redis."""
        await self._in_thread(lambda: self._forget(path))

    async def set_aside(self) -> None:
        """Complete the reserve, if the disk has room."""
        if not self._reserve.is_complete:
            await self._in_thread(self._fill)

    async def adopt(self) -> list[tuple[Path, int]]:
        """The folders of dead processes with our lock on each; their bytes count as ours from now."""
        return await self._in_thread(self._adopt)

    def close(self) -> None:
        """Let go of the folder. It stays, with what is set aside, for the process that comes next."""
        self._thread.shutdown()
        self._end()
        if not segment.segments(self.folder) and not self._reserve.bytes:
            remove(self.folder)
        if self._lock is not None:
            os.close(self._lock)

    # -- in the thread

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _write(self, batch: Spooled) -> None:
        size = len(batch.packed) + segment.FRAME_BYTES
        failure: OSError = OSError(errno.ENOSPC, "the spool holds as much as it may")
        for choose in (self._present, self._growing, self._set_aside):
            try:
                chosen = choose(size)
                if chosen is not None:
                    self._segment = chosen
                    self._append(chosen, batch)
                    return
            except OSError as error:
                failure = error
                self._end()
        if not self._may_grow(size):
            raise SpoolFull(f"the spool holds {self.waiting} bytes, as many as it may")
        raise failure

    def _append(self, chosen: Segment, batch: Spooled) -> None:
        is_new = not chosen.size
        chosen.append(batch)
        if is_new:
            _sync_folder(self.folder)
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

    def _ended(self) -> list[Path]:
        present = self._segment.path if self._segment is not None else None
        found = [path for path in segment.segments(self.folder) if path != present]
        if not found:
            self._end()
            found = segment.segments(self.folder)
        return found

    def _forget(self, path: Path) -> None:
        if path.parent != self.folder or not self._reserve.give_back(path):
            path.unlink()
        self._held.pop(path, None)
        self._count()

    def _adopt(self) -> list[tuple[Path, int]]:
        adopted = []
        for folder in self.root.iterdir():
            if folder == self.folder or not folder.is_dir():
                continue
            try:
                lock = try_lock(folder)
            except FileNotFoundError:
                continue  # another process was faster
            if lock is not None:
                self._held |= {path: path.stat().st_size for path in segment.segments(folder)}
                adopted.append((folder, lock))
        self._count()
        return adopted

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
