"""Logs deliveries that were not taken, for whoever is on duty: of which source, and why."""

from __future__ import annotations

import time
from collections.abc import Callable

from postmeter.shared.errors import RequestError
from postmeter.shared.process import logs
from postmeter.shared.storage.sources import SealedSource

QUIET_SECONDS = 60.0
"""After a line about a source nothing more is logged about it for this long: anybody who knows its URL can fail."""


class Refusals:
    """One line per source in a while, with the latest reason and how many deliveries it stands for.

    It remembers each source that failed since the process started: sources that exist only, for the gateway finds
    them before a delivery comes here.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def refused(self, source: SealedSource, error: RequestError) -> None:
        """A delivery of `source` got `error`."""
        times = self._untold.get(source.id, 0) + 1
        if self._clock() < self._quiet_until.get(source.id, 0.0):
            self._untold[source.id] = times
            return
        self._untold[source.id] = 0
        self._quiet_until[source.id] = self._clock() + QUIET_SECONDS
        told = {"source": source.id, "provider": source.provider, "status": error.status, "reason": error.message}
        logs.get().warning("webhook not taken", **told, times=times)
