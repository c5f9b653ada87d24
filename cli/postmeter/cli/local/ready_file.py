"""DIR/ready.json: there while the product is ready, gone when it is not."""

import subprocess
import sys
from pathlib import Path

import msgspec

from postmeter.cli.local import sweeper
from postmeter.cli.local.folders import write_private

FILE = "ready.json"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds: base URLs, the workspace's id and a key with every scope.

    dashboard: a link by which the administrator signs in, once; null where that user was disabled.
    """

    gateway: str
    tracking: str
    workspace: str
    api_key: str
    dashboard: str | None = None
    ops: dict[str, str]


def read(data: Path) -> Ready:
    """What the file of a data directory says. Raises OSError while the product is not ready there."""
    return msgspec.json.decode((data / FILE).read_bytes(), type=Ready)


class ReadyFile:
    """The file of one data directory, removed also when this process dies by SIGKILL."""

    def __init__(self, data: Path) -> None:
        self._path = data / FILE
        self._sweeper: subprocess.Popen[bytes] | None = None

    def write(self, ready: Ready) -> None:
        """Write it whole, for its owner only. Raises DataDirectoryError."""
        write_private(self._path, msgspec.json.format(msgspec.json.encode(ready)))
        command = [sys.executable, "-I", "-S", sweeper.__file__, str(self._path)]
        self._sweeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def remove(self) -> None:
        """Remove it, if it is there."""
        self._path.unlink(missing_ok=True)
        if self._sweeper is not None:
            self._sweeper.communicate()
            self._sweeper = None
