"""What happened in a world, step by step, and a digest of it by which two runs are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

KEPT = 4000
"""Of the last steps."""


class Trace:
    """Takes notes of (who, what) at the time of the world."""

    def __init__(self, now: Callable[[], float], show: bool = False) -> None:
        self.lines: list[str] = []
        self._now = now
        self._show = show
        self._digest = hashlib.blake2b(digest_size=8)

    def __call__(self, who: str, what: str) -> None:
        line = f"{self._now():10.4f}  {who:<14} {what}"
        self._digest.update(line.encode())
        if self._show:
            print(line)
        elif len(self.lines) < KEPT:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
