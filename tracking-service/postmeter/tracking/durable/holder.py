"""Who works in a folder of the spool: a lock for as long as its process lives, and in the lock's file who that is.

A spool belongs to one host; in Kubernetes that is one pod. Some file systems that several machines mount keep a lock on
one machine only. Two processes would both believe that a folder is theirs, and what one writes into a segment that the
other has just drained and deleted would be lost. So nobody works where another host's process lives. Whether it lives
shows by its lock or, where locks do not hold, by the time of the lock's file, which a living process sets anew every
second.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import secrets
import socket
import time
from pathlib import Path

import msgspec

from postmeter.shared.errors import PostmeterError
from postmeter.shared.process import locks
from postmeter.shared.text import quoting

LOCK = "lock"
BEAT_SECONDS = 1.0
SILENT_SECONDS = 3.0
"""How long a process on another host must have been silent before its folder may be taken over."""
_NOTE_BYTES = 512
_FOLDER = re.compile(r"[0-9a-f]{16}", re.ASCII)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Holder(msgspec.Struct, frozen=True):
    """Who works in a folder. boot: the run of the host's kernel, as two machines may have one name."""

    host: str
    boot: str
    pid: int
    work: str

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this host, whose locks are the kernel's own."""
        return (self.host, self.boot) == _here()

    def __str__(self) -> str:
        return quoting.clean(f"{self.work} of host {self.host}, process {self.pid}", quoting.QUOTED)


class SpoolTaken(PostmeterError):
    """Another process works in the spool. The message says whose, where, and what to do."""


def settle(root: Path, name: str) -> tuple[Path, int]:
    """A folder of the spool with our lock on it: one that a dead process has left, else a new one of that name.

    Raises SpoolTaken, or OSError where nothing can be made.
    """
    if (found := elsewhere(root)) is not None:
        raise SpoolTaken(
            f"in {found[0]} works {found[1]}, and a spool belongs to one host: two could delete each other's hits. Give"
            " each replica a folder on a disk of its own; in Kubernetes a StatefulSet with volumeClaimTemplates, so"
            " that each pod has a PersistentVolumeClaim of its own (deploy/k8s/base/tracking.yaml)"
        )
    for folder in folders(root):
        with contextlib.suppress(FileNotFoundError):
            lock = try_lock(folder)
            if lock is not None:
                return folder, lock
    while True:
        folder = root / name
        folder.mkdir(mode=0o700)
        sync(root)
        with contextlib.suppress(FileNotFoundError):
            lock = try_lock(folder)
            if lock is not None:
                return folder, lock
        # Another process has found it before it was locked, and has taken it for a dead one's.
        name = secrets.token_hex(8)


def folders(root: Path) -> list[Path]:
    """The folders of processes below a spool, whatever else lies there."""
    return sorted(path for path in root.iterdir() if is_folder(path))


def is_folder(path: Path) -> bool:
    """Whether it is a folder that a process has made in a spool."""
    return _FOLDER.fullmatch(path.name) is not None and path.is_dir()


def try_lock(folder: Path, work: str = "tracking-service") -> int | None:
    """Lock a process's folder and note who we are: a descriptor to hold on to, or None if its process lives.

    Raises OSError where the folder cannot be used or takes no locks, FileNotFoundError where it is gone.
    """
    path = folder / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    is_ours = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever emptied the folder meanwhile has removed the file that we hold.
        is_ours = os.fstat(descriptor).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        pass
    finally:
        if not is_ours:
            os.close(descriptor)
    if not is_ours:
        return None
    _write(descriptor, msgspec.json.encode(Holder(*_here(), os.getpid(), work)))
    return descriptor


def release(lock: int) -> None:
    """Let go of a folder; the note goes, so that nobody has to find out whether we live."""
    _write(lock, b"")
    os.close(lock)


def beat(lock: int) -> None:
    """Show that the lock's process lives. A disk that does not take even that is others' concern."""
    with contextlib.suppress(OSError):
        os.utime(lock)


def last_beat(folder: Path) -> int:
    """When a folder's process last showed that it lives, by the clock of the file system. Raises OSError."""
    return (folder / LOCK).stat().st_mtime_ns


def holder(folder: Path) -> Holder | None:
    """Who is noted in a folder; None where nobody is, as after a clean stop."""
    try:
        with (folder / LOCK).open("rb") as file:
            return msgspec.json.decode(file.read(_NOTE_BYTES).strip(b"\0"), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def elsewhere(root: Path) -> tuple[Path, Holder] | None:
    """A folder in which a process of another host works, and who that is.

    Takes SILENT_SECONDS where a process of another host has ended without a word, else no time.
    """
    silent: dict[Path, tuple[Holder, int]] = {}
    for folder in folders(root):
        found = holder(folder)
        if found is None or found.is_here:
            continue
        if locks.is_held(folder / LOCK):
            return folder, found
        with contextlib.suppress(FileNotFoundError):
            silent[folder] = found, last_beat(folder)
    if silent:
        time.sleep(SILENT_SECONDS)
    for folder, (found, before) in silent.items():
        with contextlib.suppress(FileNotFoundError):
            if last_beat(folder) != before:
                return folder, found
    return None


def sync(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@functools.cache
def _here() -> tuple[str, str]:
    try:
        boot = _BOOT.read_text().strip()
    except OSError:
        boot = ""
    return socket.gethostname(), boot


def _write(lock: int, note: bytes) -> None:
    """Write over what was there, in the same block; on a full disk a new lock's file may have no note."""
    with contextlib.suppress(OSError):
        os.pwrite(lock, note.ljust(_NOTE_BYTES, b"\0"), 0)
        # Other machines see it from now on.
        os.fsync(lock)
