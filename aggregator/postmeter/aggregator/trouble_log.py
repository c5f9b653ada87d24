"""Failures in the log: a traceback for what nobody expects, now and then one line for trouble that passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from postmeter.aggregator.errors import TROUBLE
from postmeter.shared import logs

QUIET_SECONDS = 5.0


class TroubleLog:
    """Of one thing that is tried again and again. `fields` are in each of its lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, **fields: Any) -> None:
        self._clock = clock
        self._fields = fields
        self._quiet_until = -float("inf")
        self._unsaid = 0
        self._said = False

    def failed(self, event: str, error: Exception) -> None:
        """Log an attempt's failure. Passing trouble is a warning, at most one in QUIET_SECONDS; `times` counts all."""
        if not isinstance(error, TROUBLE):
            logs.get().error(event, **self._fields, exc_info=error)
            self._said = True
            return
        self._unsaid += 1
        if self._clock() >= self._quiet_until:
            logs.get().warning(event, **self._fields, error=repr(error), times=self._unsaid)
            self._quiet_until = self._clock() + QUIET_SECONDS
            self._unsaid = 0
            self._said = True

    def over(self, event: str) -> None:
        """Log that an attempt succeeded, if a failure was logged since the last one that did."""
        if self._said:
            logs.get().info(event, **self._fields)
            self._said = False
