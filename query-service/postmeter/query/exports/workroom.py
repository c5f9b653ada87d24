"""Folders to work in, one an attempt, held by a lock that dies with the process.

So nobody has to know which attempts have died: a folder whose lock is free belongs to nobody.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "work"


@contextmanager
def workroom(folder: Path) -> Iterator[Path]:
    """An empty folder of the attempt's own below `folder`/work; removed at the end."""
    while True:
        room = folder / NAME / secrets.token_hex(8)
        room.mkdir(parents=True)
        lock = _locked(room)
        if lock is not None:
            break
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
        os.close(lock)


def sweep(folder: Path) -> None:
    """Remove the folders of attempts that died here."""
    for room in (folder / NAME).glob("*"):
        lock = _locked(room)
        if lock is not None:
            shutil.rmtree(room, ignore_errors=True)
            os.close(lock)


def _locked(room: Path) -> int | None:
    """A lock on the folder, unless somebody else has it or has removed the folder."""
    try:
        lock = os.open(room, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(lock).st_ino == os.stat(room).st_ino:
            return lock
    except OSError:
        pass
    os.close(lock)
    return None
