"""A helper process: removes a file when the process that wrote it is gone, be it by SIGKILL.

    python -I -S sweeper.py FILE

It waits for the end of its standard input, a pipe whose other end only the parent holds. `ready.json` says
that the product is ready; left behind, it would say so to whoever waits for the next start. Standard library
only.
"""

import contextlib
import os
import sys


def _identity(path: str) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_mtime_ns


def main(path: str) -> None:
    """Wait for the parent's end, then remove the file unless somebody has replaced it meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        mine = _identity(path)
        os.read(0, 1)
        if _identity(path) == mine:
            os.unlink(path)


if __name__ == "__main__":
    main(sys.argv[1])
