"""Folders that servers of another user can enter, socket paths that fit, and files that only their owner may read."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from postmeter.cli.local.errors import DataDirectoryError

# sockaddr_un.sun_path holds 108 bytes with its final NUL.
SOCKET_PATH_LIMIT = 107
_LONGEST_SOCKET = "/pg/.s.PGSQL.5432"
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")


def make_folder(path: Path, mode: int, owner: tuple[int, int] | None = None) -> Path:
    """Make a folder (and its parents) if it is missing; set mode and owner of the folder itself.

    Parents that exist are never changed. Raises DataDirectoryError when it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        if owner is not None:
            os.chown(path, *owner)
    except OSError as error:
        raise DataDirectoryError(f"cannot use the folder {path}: {error.strerror}") from error
    return path


def socket_folder(data: Path) -> Path:
    """Return the folder for the servers' sockets: `run` in the data directory if its path fits.

    Else a folder below the system's temporary one, named by the data directory, so that the next start
    uses it again. Raises DataDirectoryError when somebody else owns that.
    """
    data = data.absolute()
    inside = data / "run"
    fits = len(os.fsencode(f"{inside}{_LONGEST_SOCKET}")) <= SOCKET_PATH_LIMIT
    # Commas and spaces would end a host name in a DSN.
    if fits and _PLAIN.fullmatch(str(inside)):
        return make_folder(inside, _traversable_mode())
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    outside = Path(tempfile.gettempdir()) / f"postmeter-{os.geteuid()}-{digest}"
    make_own_folder(outside)
    return outside


def make_own_folder(path: Path) -> None:
    """Make a folder in a place where others may write too; refuse one that is not ours."""
    try:
        path.mkdir(mode=_traversable_mode(), exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise DataDirectoryError(f"cannot use the folder {path}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise DataDirectoryError(f"{path} exists and belongs to somebody else")


def _traversable_mode() -> int:
    """As root, Postgres runs as another user, who must get through; nothing in it is listed to others."""
    return 0o711 if os.geteuid() == 0 else 0o700


def open_to_all(path: Path) -> bool:
    """Return whether any user can enter every folder on the way to path (path itself left out)."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.absolute().parents)


def write_private(path: Path, content: bytes) -> None:
    """Replace the file by one of mode 600 with this content, in one step. Raises DataDirectoryError."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    except OSError as error:
        raise DataDirectoryError(f"cannot write {path}: {error.strerror}") from error
