"""File locks: the kernel releases one when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def is_held(file: Path) -> bool:
    """Whether a process holds the file's lock, as far as this machine can tell. Raises OSError where nobody can."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
