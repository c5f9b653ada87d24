"""What was found in Postgres and is cached briefly: a change there is known here within seconds."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from postmeter.shared.errors import Unavailable
from postmeter.shared.process import logs
from postmeter.shared.process.deadlines import within
from postmeter.shared.storage.postgres import AWAY

FRESH_SECONDS = 2.0
"""How long a value is served before it is looked up again."""
GRACE_SECONDS = 60.0
"""How long a known key or session stays good while Postgres is away. What is unknown gets no grace."""
LOOK_UP_SECONDS = 5.0
"""What a look-up may take, with the wait for a connection. The caller waits for the service's answer after it."""
RETRY_SECONDS = 1.0
"""After a failed look-up, how long what is known is served without another attempt; then one tries, and the others are
served meanwhile, too."""
REMEMBERED, MOST_WEIGHT = 10_000, 32 << 20
"""Values, and what they weigh together: bytes of what may be large in them, about."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Clock = Callable[[], float]


@dataclass(slots=True)
class _Seen(Generic[V]):
    value: V
    at: float


class Remembered(Generic[K, V]):
    """Finds values by `look_up`, which returns None for what is not there (any more). Bounded in number and in weight;
    those that were looked up longest ago go first.

    what: their name in the plural. now: seconds of a clock that never goes back. grace_seconds: how long what was found
    stays good while Postgres does not answer.
    """

    def __init__(
        self,
        what: str,
        look_up: Callable[[K], Awaitable[V | None]],
        now: Clock = time.monotonic,
        grace_seconds: float = GRACE_SECONDS,
        weigh: Callable[[V], int] = lambda _: 0,
    ) -> None:
        self._what = what
        self._look_up = look_up
        self._now = now
        self._grace_seconds = grace_seconds
        self._known: OrderedDict[K, _Seen[V]] = OrderedDict()
        self._weigh = weigh
        self._weight = 0
        self._down_until = 0.0
        self._failures = logs.Seldom(f"{what} cannot be looked up: Postgres does not answer")

    async def find(self, key: K) -> V | None:
        """The value, or None. Raises Unavailable when it cannot be looked up now."""
        known, now = self._known.get(key), self._now()
        if known is not None and (
            now - known.at <= FRESH_SECONDS or (now < self._down_until and now - known.at <= self._grace_seconds)
        ):
            return known.value
        if self._down_until and known is not None:
            self._down_until = now + LOOK_UP_SECONDS
        try:
            value = await within(LOOK_UP_SECONDS, self._look_up(key))
        except AWAY as error:
            self._failures.note(error=logs.words(error))
            self._down_until = self._now() + RETRY_SECONDS
            if known is not None and now - known.at <= self._grace_seconds:
                return known.value
            raise Unavailable(f"{self._what} cannot be checked now; try again.", 1) from error
        self._down_until = 0.0
        self._remember(key, value, now)
        return value

    def forget(self, key: K) -> None:
        """Look it up the next time."""
        known = self._known.pop(key, None)
        if known is not None:
            self._weight -= self._weigh(known.value)

    def _remember(self, key: K, value: V | None, now: float) -> None:
        self.forget(key)
        if value is None:
            return
        self._known[key] = _Seen(value, now)
        self._weight += self._weigh(value)
        while len(self._known) > REMEMBERED or self._weight > MOST_WEIGHT:
            self.forget(next(iter(self._known)))
