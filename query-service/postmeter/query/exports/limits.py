"""What an export may take of the disk and of time, so that one workspace never takes what others need."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from postmeter.query.exports.failures import ExportFailed

_NARROW = "choose a shorter time range or fewer campaigns"


@dataclass(frozen=True)
class Limits:
    """file_bytes: of one export. workspace_bytes: of all files of a workspace that are not yet removed.

    free_bytes: what the disk keeps; where the folder is on the disk of Postgres, others live on it. seconds: of one
    attempt, from its beginning to the published file.
    """

    file_bytes: int
    workspace_bytes: int
    free_bytes: int
    seconds: float

    def allowance(self, kept: int) -> Allowance:
        """What another export may take of a workspace whose files have `kept` bytes. Raises ExportFailed for none."""
        if kept >= self.workspace_bytes:
            raise ExportFailed(
                f"the workspace's exports have {kept} bytes, and may have {self.workspace_bytes} together;"
                " order it again when some have expired"
            )
        return Allowance(self, kept)

    def too_long(self) -> str:
        """Why an attempt was ended."""
        return f"it took more than {self.seconds:g} seconds; {_NARROW}"


@dataclass(frozen=True)
class Allowance:
    """What one attempt may take."""

    limits: Limits
    kept: int

    def check(self, room: Path) -> None:
        """Checked while an export is written: everything in its folder counts, temporary files too.

        Raises ExportFailed beyond the bounds, OSError where the disk is nearly full: that may be better soon.
        """
        if shutil.disk_usage(room).free < self.limits.free_bytes:
            raise OSError(errno.ENOSPC, "what is free on the disk of exports is not theirs")
        size = sum(entry.stat().st_size for entry in os.scandir(room))
        if size > self.limits.file_bytes:
            raise ExportFailed(f"its file would have more than {self.limits.file_bytes} bytes; {_NARROW}")
        if size + self.kept > self.limits.workspace_bytes:
            raise ExportFailed(
                f"the workspace's exports would have more than {self.limits.workspace_bytes} bytes together;"
                f" {_NARROW}, or order it again when some have expired"
            )
