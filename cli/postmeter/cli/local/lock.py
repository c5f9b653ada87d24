"""One owner per data directory."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from postmeter.cli.local.errors import DataDirectoryError
from postmeter.cli.local.folders import make_folder
from postmeter.shared.process import locks

FILE = "lock"


class DirectoryLock:
    """Holds a data directory for this process; the kernel lets go when the process ends, however it ends."""

    def __init__(self, data: Path) -> None:
        self._path = data / FILE
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, making the directory if needed. Raises DataDirectoryError, saying who holds it."""
        data = self._path.parent
        try:
            if not data.exists():
                make_folder(data, 0o711 if os.geteuid() == 0 else 0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirectoryError(f"cannot write into {data}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise DataDirectoryError(f"{data} is in use by process {owner}") from None
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go. The file stays: removing it would let two owners in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "DirectoryLock":
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def held(data: Path) -> bool:
    """Return whether some process holds the directory now."""
    try:
        return locks.is_held(data / FILE)
    except OSError:
        return False
