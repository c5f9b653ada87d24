"""Clocks and chance of a simulated world in place of the machine's: what `time`, `random`, `os` and `uuid` say."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from tests.simulation.loop import CURRENT, Loop

EPOCH = 1_790_000_000 - 1_790_000_000 % 86400 + 43200
"""The wall clock's Unix seconds when a world begins: noon."""


class Clock:
    """The loop's time as a process sees it: its wall clock may be wrong."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._began = loop.now

    def monotonic(self) -> float:
        return self._loop.now

    def time(self) -> float:
        process = CURRENT.get()
        return self.true() + (process.skew if process is not None else 0.0)

    def true(self) -> float:
        """Unix seconds by the clock of the servers."""
        return EPOCH + self._loop.now - self._began

    def time_ns(self) -> int:
        return int(self.time() * 1e6) * 1000


@contextmanager
def sealed(clock: Clock, chance: random.Random) -> Iterator[None]:
    """Let nothing of the machine in while the block runs."""
    before = random.getstate()
    random.seed(chance.random())
    bytes_of = chance.randbytes
    with (
        patch.object(time, "monotonic", clock.monotonic),
        patch.object(time, "perf_counter", clock.monotonic),
        patch.object(time, "time", clock.time),
        patch.object(time, "time_ns", clock.time_ns),
        patch.object(os, "urandom", bytes_of),
        patch.object(random, "_urandom", bytes_of),
    ):
        try:
            yield
        finally:
            random.setstate(before)
