"""One process under supervision: how it starts, how it is stopped, when it is started again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from postmeter.cli.local.errors import LocalError
from postmeter.cli.local.processes.process import Process

FIRST_SECONDS = 0.2
LONGEST_SECONDS = 10.0
STEADY_SECONDS = 30.0


class Backoff:
    """Waits grow while a process keeps dying young, and start over once it has lived a while."""

    def __init__(self) -> None:
        self._delay = FIRST_SECONDS

    def after(self, lifetime: float) -> float:
        """Return the seconds to wait before the next start, given how long the process lived."""
        if lifetime >= STEADY_SECONDS:
            self._delay = FIRST_SECONDS
        delay, self._delay = self._delay, min(self._delay * 2, LONGEST_SECONDS)
        return delay


class Member:
    """A process that is started again, after a growing pause, whenever it ends by itself.

    log: the file that its output goes to; None: where ours goes.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[], Process],
        say: Callable[[str], None],
        stop_signal: int = signal.SIGTERM,
        log: Path | None = None,
    ) -> None:
        self.name = name
        self.process: Process | None = None
        self._start = start
        self._say = say
        self._stop_signal = stop_signal
        self._log = log
        self._backoff = Backoff()
        self._started = 0.0
        self._due: float | None = None
        self._reason = ""

    def start(self) -> Process:
        """Start it. Raises LocalError."""
        self._started = time.monotonic()
        self._due = None
        self.process = self._start()
        return self.process

    def watch(self) -> None:
        """Look after it: plan a start when it has ended, carry out the plan when its time has come."""
        now = time.monotonic()
        if self._due is None:
            if self.process is not None and self.process.returncode is None:
                return
            self._plan(self._end() + (f", see {self._log}" if self._log else ""), now)
        elif now >= self._due:
            try:
                self._say(f"{self.name} is running again, process {self.start().pid}")
            except LocalError as error:
                self._plan(str(error), time.monotonic())

    def _end(self) -> str:
        """How it has ended."""
        status = None if self.process is None else self.process.returncode
        if status is not None and status < 0:
            return f"{self.name} was ended by {signal.Signals(-status).name}"
        return f"{self.name} ended with status {'unknown' if status is None else status}"

    def _plan(self, reason: str, now: float) -> None:
        delay = self._backoff.after(now - self._started)
        self._due = now + delay
        # What stays as it is, such as a full disk, is said once.
        if reason != self._reason:
            self._say(f"{reason}; starting it again in {delay:.1f} s")
        self._reason = reason

    def stop(self, timeout: float = 30.0) -> None:
        """Stop it cleanly; SIGKILL, and a word about it, when that takes longer than timeout seconds."""
        if self.process is None or self.process.returncode is not None:
            return
        if not self.process.stop(self._stop_signal, timeout):
            self._say(f"{self.name} did not stop within {timeout:.0f} s and was killed")
