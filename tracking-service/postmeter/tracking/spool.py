"""Where batches wait on local disk while Redis is away.

Each process writes segments in a folder of its own below spool_dir and holds a lock on it for as long as it
lives; the folder of a process that died is adopted by whichever process finds it unlocked. A segment is a
sequence of frames: length and CRC32 of the payload, then the payload (MessagePack: shard, batch id, packed
records). A frame counts once it is fsynced; a torn one at the end was never acknowledged.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from postmeter.shared import logs
from postmeter.shared.errors import PostmeterError

_FRAME = struct.Struct(">II")
SEGMENT_BYTES = 16 << 20
USUAL_BYTES = 4096
LOCK = "lock"


class SpoolFull(PostmeterError):
    """The spool holds as many bytes as POSTMETER_SPOOL_BYTES allows."""


class Spooled(msgspec.Struct, array_like=True, frozen=True):
    """A batch exactly as its first attempt to append it was."""

    shard: int
    batch_id: bytes
    packed: bytes


def frame(batch: Spooled) -> bytes:
    """The bytes of one frame."""
    payload = msgspec.msgpack.encode(batch)
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def read(segment: Path) -> Iterator[Spooled]:
    """The batches of a segment. A damaged frame is skipped and logged, a torn end ends it."""
    with segment.open("rb") as file:
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            size, checksum = _FRAME.unpack(head)
            payload = file.read(size)
            if len(payload) < size:
                logs.get().warning("torn end in the spool", segment=str(segment), bytes=_FRAME.size + len(payload))
                return
            if zlib.crc32(payload) == checksum:
                yield msgspec.msgpack.decode(payload, type=Spooled)
            else:
                logs.get().error("damaged frame in the spool", segment=str(segment), position=file.tell())


def segments(folder: Path) -> list[Path]:
    """The segments of a folder, oldest first."""
    return sorted(folder.glob("*.segment"))


def try_lock(folder: Path) -> int | None:
    """Lock a process's folder: a file descriptor to hold on to, or None if its process lives."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def remove(folder: Path) -> None:
    """Delete an empty folder whose lock is ours."""
    (folder / LOCK).unlink(missing_ok=True)
    folder.rmdir()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Spool:
    """This process's segments. Files are written and fsynced in a thread, one batch after the other."""

    def __init__(self, root: Path, producer: str, limit: int) -> None:
        self.root = root
        self.folder = root / producer
        self.folder.mkdir(parents=True, mode=0o700)
        _sync_folder(root)
        self._lock = try_lock(self.folder)
        self._limit = limit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._file: int | None = None
        self._number = self._size = 0
        self.waiting = 0

    async def write(self, shard: int, batch_id: bytes, packed: bytes) -> None:
        """Return once the batch is on disk. Raises SpoolFull or OSError."""
        data = frame(Spooled(shard, batch_id, packed))
        if self.waiting + len(data) > self._limit:
            raise SpoolFull(f"the spool holds {self.waiting} bytes, as many as it may")
        self.waiting += len(data)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, data)
        except OSError:
            self.waiting -= len(data)
            raise

    async def check(self) -> None:
        """Raise OSError or SpoolFull if a usual batch could not be written now."""
        disk = os.statvfs(self.folder)
        if self.waiting + USUAL_BYTES > self._limit or not disk.f_bavail or not os.access(self.folder, os.W_OK):
            raise SpoolFull("the spool is full or not writable")

    async def rotate(self) -> list[Path]:
        """End the present segment; return all ended ones, which are never written again."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ended)

    def adopt(self) -> list[tuple[Path, int]]:
        """The folders of dead processes with our lock on each; their bytes count as ours from now."""
        adopted = []
        for folder in self.root.iterdir():
            if folder == self.folder or not folder.is_dir():
                continue
            try:
                lock = try_lock(folder)
            except FileNotFoundError:
                continue  # another process was faster
            if lock is not None:
                self.waiting += sum(path.stat().st_size for path in segments(folder))
                adopted.append((folder, lock))
        return adopted

    def forget(self, segment: Path) -> None:
        """Delete a segment whose batches are all in Redis."""
        self.waiting -= segment.stat().st_size
        segment.unlink()

    def close(self) -> None:
        """Let go of the folder; it is removed if nothing waits in it."""
        self._thread.shutdown()
        self._end()
        if not segments(self.folder):
            remove(self.folder)
        if self._lock is not None:
            os.close(self._lock)

    def _ended(self) -> list[Path]:
        self._end()
        return segments(self.folder)

    def _write(self, data: bytes) -> None:
        if self._file is None or self._size >= SEGMENT_BYTES:
            self._end()
            self._number += 1
            path = self.folder / f"{self._number:08}.segment"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            _sync_folder(self.folder)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError:
            # Half a frame must not hide the ones after it.
            os.ftruncate(self._file, self._size)
            self._end()
            raise
        self._size += len(data)

    def _end(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file, self._size = None, 0
