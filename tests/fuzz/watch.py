"""What a product's processes and logs say of it, before and after."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.product import Product, wait_for

SERVICES = ("gateway", "tracking", "query", "aggregator")
GROWTH = 300 << 20
"""Bytes that a service may have grown by; a leak of some hundred bytes a request is more in 100,000 requests."""


class Watch:
    """The services of a product from now on."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._pids = {name: wait_for(name, partial(product.pid_of, f"run {name}")) for name in SERVICES}
        self._read = product.output.stat().st_size
        self.before = self.memory()

    def memory(self) -> dict[str, int]:
        """Bytes in memory of each service, those of its children added."""
        return {name: _resident(pid) for name, pid in self._pids.items()}

    def findings(self) -> list[str]:
        """What is wrong with the processes and what they have written."""
        found = []
        for name, pid in self._pids.items():
            if self._product.pid_of(f"run {name}") != pid:
                found.append(f"{name} was started again")
                continue
            grown = _resident(pid) - self.before[name]
            if grown > GROWTH:
                found.append(f"{name} has grown by {grown >> 20} MB")
        written = self._product.output.read_bytes()[self._read :]
        for mark in (b"Traceback", b"Unhandled", b"Task exception was never", b"Error handling request"):
            if mark in written:
                place = written.index(mark)
                found.append(f"in the log: {written[max(0, place - 500) : place + 3000].decode(errors='replace')}")
        return found


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS")), 0)
