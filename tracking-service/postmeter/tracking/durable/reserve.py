"""Disk space that is set aside for the spool, so that a full disk still takes hits.

The files hold what they are long: blocks of their own, which nobody else can take. One is renamed into a segment when
nothing else can be written, overwritten in place, and renamed back when its batches are in Redis. On file systems
that write elsewhere what is overwritten (btrfs, ZFS) a file's second use may fail on a full disk all the same.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from postmeter.tracking.durable import segment
from postmeter.tracking.durable.segment import Segment

SUFFIX = ".reserve"
# So many files: a part-filled one that waits for Redis costs that much of the whole.
FILES = 8
LEAST_FILE_BYTES = 64 << 10
_ZEROS = bytes(1 << 20)
# What a file system answers that cannot set space aside by itself.
_UNABLE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class Reserve:
    """The files set aside in one folder; `size` bytes of them when complete. Used by one thread at a time."""

    def __init__(self, folder: Path, size: int) -> None:
        self.file_bytes = size // FILES
        self._count = FILES if self.file_bytes >= LEAST_FILE_BYTES else 0
        self._folder = folder
        self._free: list[Path] = []
        self._made = 0
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            self._made = max(self._made, int(path.stem) if path.stem.isdecimal() else 0)
            if path.stat().st_size == self.file_bytes and len(self._free) < self._count:
                self._free.append(path)
            else:
                # Made under another setting, or not to its end.
                path.unlink()

    @property
    def bytes(self) -> int:
        """What is set aside and not in use."""
        return len(self._free) * self.file_bytes

    @property
    def is_complete(self) -> bool:
        """Whether all is set aside, and nothing of it in use."""
        return len(self._free) >= self._count

    def fill(self) -> None:
        """Set aside what is missing; what is in use comes back by itself. Raises OSError when the disk is too full."""
        used = sum(path.stat().st_size == self.file_bytes for path in segment.segments(self._folder))
        while len(self._free) + used < self._count:
            if free_bytes(self._folder) < 2 * self.file_bytes:
                # To try would take, for a moment, the last of what others need.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            path = self._next()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                _set_aside(descriptor, self.file_bytes)
            except OSError:
                path.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
            self._free.append(path)

    def take(self, number: int) -> Segment | None:
        """A segment in space that was set aside; None if there is none left. Raises OSError."""
        if not self._free:
            return None
        path = self._free[-1].rename(self._folder / segment.new_name(number))
        self._free.pop()
        return Segment(path, 0, self.file_bytes, is_set_aside=True)

    def give_back(self, used: Path) -> bool:
        """Set a drained segment's file aside again; False if it is not of the reserve, or not needed."""
        if self.is_complete or used.stat().st_size != self.file_bytes:
            return False
        self._free.append(used.rename(self._next()))
        return True

    def _next(self) -> Path:
        self._made += 1
        return self._folder / f"{self._made:08}{SUFFIX}"


def free_bytes(folder: Path) -> int:
    """What the disk of a folder still takes from us."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _set_aside(descriptor: int, size: int) -> None:
    """Make the file as long as that, with blocks for all of it."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
        written = 0
        while written < size:
            written += os.pwrite(descriptor, _ZEROS[: size - written], written)
    os.fsync(descriptor)
