"""A child process that never outlives us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from postmeter.cli.local.processes import child

# The kernel's parent-death signal fires when the *thread* that forked ends. All children are therefore
# started by this one thread, which lives as long as the process does.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


POLL_SECONDS = 0.02
UNKNOWN = 255
"""Stands for the exit status of a child whose status is lost."""


class Process:
    """One running child. Ended by the kernel when we die, however we die (Linux).

    It is waited for without Popen's methods: those hold a lock, which is held for ever where a signal's handler raises
    just then, as the supervisor's does.
    """

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]") -> None:
        self.name = name
        self._popen = popen

    @property
    def pid(self) -> int:
        """The process id; that of the command itself, because the launcher becomes it."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs, else the exit status (negative: the signal that ended it)."""
        return self._reap(os.WNOHANG)

    def send(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float) -> bool:
        """Wait for the end, at most timeout seconds. Returns whether it has ended."""
        deadline = time.monotonic() + timeout
        while self.returncode is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20.0) -> bool:
        """Send the signal and wait; SIGKILL after timeout seconds. Returns whether it went by itself."""
        self.send(number)
        if self.wait(timeout):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End it with SIGKILL and reap it."""
        self.send(signal.SIGKILL)
        self._reap(0)

    def _reap(self, how: int) -> int | None:
        if self._popen.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, how)
            except ChildProcessError:  # a handler has raised when its status had just been read
                self._popen.returncode = UNKNOWN
            else:
                if pid:
                    self._popen.returncode = os.waitstatus_to_exitcode(status)
        return self._popen.returncode


def spawn(
    name: str,
    command: Sequence[str | os.PathLike[str]],
    *,
    environ: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    user: str = "-",
    death_signal: int = signal.SIGKILL,
) -> Process:
    """Start a command in a session of its own.

    `output` takes stdout and stderr (None: ours). `user` is `-` or `uid:gid[:search]`, see child.py.
    `death_signal` reaches it when this process ends without having stopped it.
    """
    arguments = [sys.executable, "-I", "-S", child.__file__, str(os.getpid()), str(int(death_signal)), user]
    arguments += [os.fspath(part) for part in command]

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            arguments,
            env=None if environ is None else dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
        )

    return Process(name, _spawner.submit(start).result())


def log_tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log file, for an error message; empty when there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
