"""Logs failures sparingly: a traceback for what nobody expects, one line for trouble that passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from postmeter.aggregator.errors import TROUBLE
from postmeter.shared.process import logs

QUIET_SECONDS = 5.0
TRACEBACK_QUIET_SECONDS = 60.0


class TroubleLog:
    """The log of one thing that is tried again and again. `fields` are in each of its lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, **fields: Any) -> None:
        self._clock = clock
        self._fields = fields
        self._quiet_until = -float("inf")
        self._unsaid = 0
        self._said = False
        self._of = ""
        """The unexpected error that was said last; empty: passing trouble."""

    def failed(self, event: str, error: Exception, **fields: Any) -> None:
        """Log an attempt's failure, with `fields` of its own; `times` counts those since the last line of its kind.

        Passing trouble is a warning, at most one in QUIET_SECONDS; of the unexpected the same error has its traceback
        at most once in TRACEBACK_QUIET_SECONDS.
        """
        passes = isinstance(error, TROUBLE)
        said = "" if passes else repr(error)
        if said != self._of:
            self._of, self._quiet_until, self._unsaid = said, -float("inf"), 0
        self._unsaid += 1
        if self._clock() < self._quiet_until:
            return
        if passes:
            logs.get().warning(event, **self._fields, **fields, error=logs.words(error), times=self._unsaid)
        else:
            logs.get().error(event, **self._fields, **fields, exc_info=error, times=self._unsaid)
        self._quiet_until = self._clock() + (QUIET_SECONDS if passes else TRACEBACK_QUIET_SECONDS)
        self._unsaid = 0
        self._said = True

    def over(self, event: str) -> None:
        """Log that an attempt succeeded, if a failure was logged since the last one that did."""
        if self._said:
            logs.get().info(event, **self._fields)
            self._said = False
