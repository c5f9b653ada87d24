"""Redis that does not answer: which requests ask it again, and when the operator is told."""

from __future__ import annotations

from collections.abc import Callable

from postmeter.shared.process import logs

PAUSE_SECONDS = 1.0
"""After a failure, how long all requests but one pass without asking."""
MOMENT_SECONDS = 2.0
"""Failures over a longer time than this are logged: a machine that stood still for a moment is not an outage."""
CALM_SECONDS = 10.0
"""An outage is over once Redis has answered for this long: what fails again and again is a single outage."""


class Outage:
    """now: seconds of a clock that never goes back. The metric counts each request that passes, also of a moment."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ask_again: float | None = None
        self._since: float | None = None
        self._last = 0.0
        self._has_answered = False
        self._is_told = False
        self._passed = 0

    def lets_ask(self) -> bool:
        """Whether this request asks Redis; if not, it passes."""
        if self._ask_again is not None:
            if self._now() < self._ask_again:
                self._passed += 1
                return False
            # This request alone tries; the others pass until it knows.
            self._ask_again = self._now() + PAUSE_SECONDS
        return True

    def failed(self, error: Exception) -> None:
        """A request got no answer, and passes."""
        now = self._now()
        if self._has_answered and now - self._last >= CALM_SECONDS:
            self._end()
        if self._since is None:
            self._since = now
        self._last, self._has_answered = now, False
        self._ask_again = now + PAUSE_SECONDS
        self._passed += 1
        if not self._is_told and now - self._since >= MOMENT_SECONDS:
            self._is_told = True
            logs.get().warning(
                "requests pass without a limit: Redis does not answer", error=logs.words(error), **self._so_far()
            )

    def answered(self) -> None:
        """A request got its answer."""
        self._ask_again = None
        if self._since is not None:
            self._has_answered = True
            if self._now() - self._last >= CALM_SECONDS:
                self._end()

    def _end(self) -> None:
        if self._is_told:
            logs.get().info("requests are limited again", **self._so_far())
        self._since, self._has_answered, self._is_told, self._passed = None, False, False, 0

    def _so_far(self) -> dict[str, object]:
        """seconds: from the first failure to the last. passed: requests that nobody counted."""
        return {"seconds": round(self._last - (self._since or 0.0), 1), "passed": self._passed}
