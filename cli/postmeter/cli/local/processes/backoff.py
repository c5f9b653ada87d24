"""When to restart a process that died."""

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
