"""The disks of the simulated hosts: real files in a folder, of which a power cut takes what was not synced."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.simulation.loop import CURRENT, Killed, Process
from tests.simulation.trace import Trace

_REAL: dict[str, Callable[..., Any]] = {
    name: getattr(os, name)
    for name in ("open", "close", "pwrite", "fsync", "fdatasync", "unlink", "rename", "mkdir", "rmdir")
}
Undo = Callable[[], None]


class Disk:
    """All files below `folder`. faults: how likely a write or a sync fails, or is the last that its process does."""

    def __init__(self, folder: Path, chance: random.Random, trace: Trace) -> None:
        self.folder = folder
        self.faults = 0.0
        self._chance = chance
        self._trace = trace
        self._below = f"{folder}/"
        self._open: dict[int, tuple[str, Process | None]] = {}
        self._unsynced: dict[str, list[Undo]] = {}
        """By file, what takes its writes back, the first one first; by folder the same of its names."""

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Let what `os` does below the folder pass through here."""
        with (
            patch.object(os, "open", self._opened),
            patch.object(os, "close", self._closed),
            patch.object(os, "pwrite", self._written),
            patch.object(os, "fsync", self._synced),
            patch.object(os, "fdatasync", self._data_synced),
            patch.object(os, "unlink", self._unlinked),
            patch.object(os, "rename", self._renamed),
        ):
            yield

    def cut_power(self, host: Path) -> None:
        """Of what was not synced below a host's folder something is gone: of files and of names the last of it."""
        for place in sorted(self._unsynced):
            if place.startswith(f"{host}/") or place == str(host):
                undo = self._unsynced.pop(place)
                kept = self._chance.randrange(len(undo) + 1)
                for one in reversed(undo[kept:]):
                    one()

    def close_all(self, process: Process) -> None:
        """What the kernel does when a process has died; that lets go of its locks too."""
        for descriptor in [one for one, (_, of) in self._open.items() if of is process]:
            del self._open[descriptor]
            _REAL["close"](descriptor)

    def close_rest(self) -> None:
        for descriptor in list(self._open):
            del self._open[descriptor]
            _REAL["close"](descriptor)

    # -- in place of os

    def _opened(self, path: Any, flags: int, mode: int = 0o777, **rest: Any) -> int:
        _living()
        place = os.fspath(path)
        is_ours = isinstance(place, str) and place.startswith(self._below)
        is_new = is_ours and flags & os.O_CREAT and not os.path.exists(place)
        descriptor: int = _REAL["open"](path, flags, mode, **rest)
        if is_ours:
            self._open[descriptor] = place, CURRENT.get()
            if is_new:
                self._note(os.path.dirname(place), lambda: _remove(place))
        return descriptor

    def _closed(self, descriptor: int) -> None:
        _living()
        self._open.pop(descriptor, None)
        _REAL["close"](descriptor)

    def _written(self, descriptor: int, data: bytes, offset: int) -> int:
        _living()
        found = self._open.get(descriptor)
        if found is None:
            return int(_REAL["pwrite"](descriptor, data, offset))
        place = found[0]
        before = Path(place).read_bytes() if os.path.exists(place) else None
        fault = self._fault(place)
        if fault is not None:
            data = data[: self._chance.randrange(len(data) + 1)]
        written = int(_REAL["pwrite"](descriptor, data, offset)) if data else 0
        if before is not None:
            self._note(place, lambda: _restore(place, before))
        if fault is not None:
            self._strike(fault, f"write of {Path(place).name}")
        return written

    def _synced(self, descriptor: int) -> None:
        _living()
        place = self._open[descriptor][0] if descriptor in self._open else None
        if place is None:
            _REAL["fsync"](descriptor)
            return
        fault = self._fault(place)
        if fault is None or self._chance.random() < 0.5:
            self._unsynced.pop(place, None)
        if fault is not None:
            self._strike(fault, f"sync of {Path(place).name}")

    def _data_synced(self, descriptor: int) -> None:
        self._synced(descriptor)

    def _unlinked(self, path: Any, **rest: Any) -> None:
        _living()
        place = os.fspath(path)
        if isinstance(place, str) and place.startswith(self._below) and os.path.isfile(place):
            before = Path(place).read_bytes()
            self._note(os.path.dirname(place), lambda: _restore(place, before))
        _REAL["unlink"](path, **rest)

    def _renamed(self, before: Any, after: Any, **rest: Any) -> None:
        _living()
        _REAL["rename"](before, after, **rest)
        if str(after).startswith(self._below):
            self._note(os.path.dirname(after), lambda: _move(after, before))

    def _note(self, place: str, undo: Undo) -> None:
        self._unsynced.setdefault(place, []).append(undo)

    def _fault(self, place: str) -> str | None:
        """Only segments and their folders: a fault elsewhere is a process that does not start."""
        if not self.faults or CURRENT.get() is None or place.endswith("lock") or self._chance.random() >= self.faults:
            return None
        return self._chance.choice(("fails", "fails", "dies"))

    def _strike(self, fault: str, what: str) -> None:
        process = CURRENT.get()
        assert process is not None
        self._trace(process.name, f"{fault} in the {what}")
        if fault == "dies":
            process.kill()
            raise Killed
        raise OSError(self._chance.choice((errno.EIO, errno.ENOSPC)), "the disk fails")


def _living() -> None:
    """What has died in the middle of something does nothing more of it."""
    process = CURRENT.get()
    if process is not None and not process.is_alive:
        raise Killed


def _remove(place: str) -> None:
    if os.path.exists(place):
        _REAL["unlink"](place)


def _restore(place: str, content: bytes) -> None:
    if os.path.isdir(os.path.dirname(place)):
        Path(place).write_bytes(content)


def _move(place: Any, to: Any) -> None:
    if os.path.exists(place):
        _REAL["rename"](place, to)
