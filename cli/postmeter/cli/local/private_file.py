"""Files that only their owner may read, written whole or not at all."""

import os
from pathlib import Path

from postmeter.cli.local.errors import DataDirectoryError


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
