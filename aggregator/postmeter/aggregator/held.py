"""A shard that this process counts: how far it is, and since when it stands still."""

from __future__ import annotations

import random
import time

from postmeter.aggregator import metrics
from postmeter.aggregator.errors import TROUBLE, in_words
from postmeter.aggregator.stream.lease import Lease
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.shared.process import logs

BACKOFF_SECONDS = (0.05, 2.0)
TRIM_SECONDS = 5.0
SLOW_SECONDS = 5.0
"""After so long /readyz warns of a shard that has got nowhere."""
STALLED_SECONDS = 30.0
"""After so long it stands still: the log says so, and again after as long, and /readyz answers 503."""


class Held:
    """A leased shard. sound: its position is as Postgres has it. again_at: not to be tried before.

    Whichever workers count it one after the other, how far it is and since when it stands still goes on.
    """

    def __init__(self, lease: Lease, counters: metrics.AggregatorMetrics) -> None:
        self.lease = lease
        self.sound = True
        self.again_at = 0.0
        self._counters = counters
        self._trouble = TroubleLog(shard=lease.shard)
        self._delay = BACKOFF_SECONDS[0]
        self._got_on_at = self._said_at = time.monotonic()
        self._failure = ""
        self._counted_until = time.time()
        self._trim_at = time.monotonic() + TRIM_SECONDS
        counters.lag_seconds.labels(str(lease.shard)).set_function(lambda: time.time() - self._counted_until)
        counters.stalled_seconds.labels(str(lease.shard)).set_function(lambda: self.stalled_seconds)

    def close(self) -> None:
        """It is not counted here any more."""
        self._counters.lag_seconds.remove(str(self.lease.shard))
        self._counters.stalled_seconds.remove(str(self.lease.shard))

    @property
    def stalled_seconds(self) -> float:
        """Seconds since it last got anywhere; below a second or two while all is well, also when nothing comes."""
        return time.monotonic() - self._got_on_at

    @property
    def stalled(self) -> bool:
        """Whether it stands still."""
        return self.stalled_seconds >= STALLED_SECONDS

    @property
    def slow(self) -> bool:
        """Whether it gets nowhere, and does not stand still yet."""
        return SLOW_SECONDS <= self.stalled_seconds < STALLED_SECONDS

    @property
    def failure(self) -> str:
        """Why it gets nowhere."""
        return self._failure or "it hangs"

    def counted(self, until: float) -> None:
        """All that was appended before that time is counted."""
        self._counted_until = until

    def gets_on(self) -> None:
        """A flush of it is committed, or there was nothing to count."""
        self._got_on_at, self._failure = time.monotonic(), ""

    def recovers(self) -> None:
        """A whole round has passed."""
        self.gets_on()
        self.sound, self.again_at, self._delay = True, 0.0, BACKOFF_SECONDS[0]
        self._trouble.over("shard counts again")

    def fails(self, error: Exception, *, alone: bool) -> None:
        """A round has failed. alone: a round of this shard alone, which is to be tried again after a while."""
        self.sound = False
        self._failure = in_words(error)
        self._say_if_stalled(error)
        if alone:
            self._trouble.failed("shard stalls, trying again", error)
            self.again_at = time.monotonic() + self._delay * random.uniform(0.5, 1.5)
            self._delay = min(2 * self._delay, BACKOFF_SECONDS[1])

    def _say_if_stalled(self, error: Exception) -> None:
        now = time.monotonic()
        if now - max(self._got_on_at, self._said_at) >= STALLED_SECONDS:
            self._said_at = now
            logs.get().error(
                "shard stands still: its numbers do not move; what comes waits in its stream and is not lost",
                shard=self.lease.shard,
                seconds=round(self.stalled_seconds),
                after_entry=self.lease.position,
                failure=self._failure,
                passes=isinstance(error, TROUBLE),
            )

    def is_due_to_trim(self) -> bool:
        """Whether its stream is to be trimmed now."""
        if time.monotonic() < self._trim_at:
            return False
        self._trim_at = time.monotonic() + TRIM_SECONDS
        return True


def nowhere(shards: list[Held]) -> str:
    """Since when and why these shards get nowhere: once for all that fail alike, as where Postgres is away."""
    alike: dict[str, list[Held]] = {}
    for held in sorted(shards, key=lambda held: held.lease.shard):
        alike.setdefault(held.failure, []).append(held)
    return "; ".join(_alike(failure, group) for failure, group in alike.items())


def _alike(failure: str, shards: list[Held]) -> str:
    which = ", ".join(str(held.lease.shard) for held in shards)
    who = f"shard {which} has" if len(shards) == 1 else f"shards {which} have"
    return f"{who} counted nothing for {max(held.stalled_seconds for held in shards):.0f} s: {failure}"
