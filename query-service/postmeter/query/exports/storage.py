"""Where finished exports lie: a local folder, or an S3-compatible bucket (s3_storage.py)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SECONDS = 60
"""What a bucket's own URL lasts: long enough to follow a redirect to it."""


@dataclass(frozen=True)
class Download:
    """What a file is for whoever downloads it."""

    name: str
    media: str

    @property
    def disposition(self) -> str:
        """Its Content-Disposition. Names are made of our ids, so that nothing in them needs quoting."""
        return f'attachment; filename="{self.name}"'


class Storage(Protocol):
    """Files by key. A key is written once, at once and completely, or not at all."""

    async def publish(self, file: Path, key: str, download: Download) -> None:
        """Make a complete local file the one with this key; the local one may be gone afterwards."""

    async def remove(self, keys: Iterable[str]) -> None:
        """Remove what there is of these."""

    async def place(self, key: str) -> Path | str:
        """Where the file lies: here, or at a URL that gives it out to anybody for SECONDS."""


class Folder:
    """A local folder; query-services of one deployment share it. Work goes on in a folder inside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def publish(self, file: Path, key: str, download: Download) -> None:
        """Rename the file to its place; it survives a power cut from then on."""
        await asyncio.to_thread(self._publish, file, key)

    def _publish(self, file: Path, key: str) -> None:
        _sync(file, os.O_RDONLY)
        file.rename(self._folder / key)
        _sync(self._folder, os.O_RDONLY | os.O_DIRECTORY)

    async def remove(self, keys: Iterable[str]) -> None:
        """Remove what there is of these."""
        for key in keys:
            await asyncio.to_thread((self._folder / key).unlink, missing_ok=True)

    async def place(self, key: str) -> Path:
        """Where the file lies."""
        return self._folder / key


def _sync(path: Path, flags: int) -> None:
    number = os.open(path, flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)
