"""A child process that never outlives us."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from postmeter.cli.local import child

# The kernel's parent-death signal fires when the *thread* that forked ends. All children are therefore
# started by this one thread, which lives as long as the process does.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class Process:
    """One running child. Ended by the kernel when we die, however we die (Linux)."""

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
        return self._popen.poll()

    def send(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        self._popen.send_signal(number)

    def wait(self, timeout: float) -> bool:
        """Wait for the end, at most timeout seconds. Returns whether it has ended."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
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
        self._popen.kill()
        self._popen.wait()


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
