"""The sweep, which looks again and again at what comes late: events that wait for their messages, messages registered
after their webhook, and messages whose recipient has chosen lately.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from postmeter.aggregator import metrics
from postmeter.aggregator.errors import TIME_OUTS, is_of_the_data
from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.outcome import Outcome
from postmeter.aggregator.stream.lease import Lease, Move
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.aggregator.unregistered import adoption
from postmeter.aggregator.unregistered.waiting import BEGINNING, SWEEP_LIMIT, Place
from postmeter.shared.storage.postgres import Connection

SHARD = 0
"""Who holds this shard sweeps, so that one aggregator at a time does."""
SECONDS = 1.0
ALL_SECONDS = 60.0
YOUNG_SECONDS = 60.0
ANY_AGE_SECONDS = 1e9
ADOPT_AGAIN_SECONDS = 60.0


class Sweeper:
    """Sweeps under the lease of SHARD. done: told of each commit."""

    def __init__(
        self,
        flusher: Flusher,
        done: Callable[[Outcome, Sequence[Move]], Awaitable[None]],
        counters: metrics.AggregatorMetrics,
    ) -> None:
        self._flusher = flusher
        self._done = done
        self._counters = counters
        self._most, self._most_adopted = SWEEP_LIMIT, adoption.MOST
        self._behind: dict[str, Place] = {}
        self._due = {"young": 0.0, "all": 0.0, "adopt": 0.0}
        self._adopting = TroubleLog(shard=SHARD)

    def due(self) -> str | None:
        """What is to be swept now. The young first: a look at all that wait takes many rounds where it is much."""
        now = time.monotonic()
        for which, seconds in (("young", SECONDS), ("all", ALL_SECONDS)):
            if now >= self._due[which]:
                self._due[which] = now + seconds
                return which
        return None

    async def sweep(self, connection: Connection, lease: Lease, which: str) -> None:
        """Look at some of what waits; more of it is due at once where there may be more."""
        more = await self._waiting(connection, lease, which)
        more = await self._flusher.lower(connection, lease) or more
        if time.monotonic() >= self._due["adopt"]:
            more = await self._adopt(connection, lease) or more
        if more:
            self._due[which] = 0.0

    async def _waiting(self, connection: Connection, lease: Lease, which: str) -> bool:
        """Whether there may be more. Fewer are looked at together until there is time, or what is to blame is found."""
        most, age = self._most, YOUNG_SECONDS if which == "young" else ANY_AGE_SECONDS
        behind = self._behind.get(which, BEGINNING)
        try:
            outcome = await self._flusher.sweep(connection, lease, age, behind, most)
        except Exception as error:
            if not (is_of_the_data(error) or (isinstance(error, TIME_OUTS) and most > 1)):
                raise
            self._most = max(1, most // 2)
            return True
        self._most = min(SWEEP_LIMIT, 2 * most)
        self._behind[which] = outcome.sweep_behind or BEGINNING
        await self._done(outcome, [Move(lease, lease.position)])
        return outcome.sweep_behind is not None

    async def _adopt(self, connection: Connection, lease: Lease) -> bool:
        """Whether there may be more. A failure that is the data's holds up nothing but this."""
        most = self._most_adopted
        try:
            outcome, more = await self._flusher.adopt(connection, lease, most)
        except Exception as error:
            if isinstance(error, TIME_OUTS) and most > 1:
                self._most_adopted = most // 2
                return True
            if not is_of_the_data(error):
                raise
            self._counters.retries.labels("error").inc()
            self._adopting.failed("registered messages do not take over what was counted of them before", error)
            self._due["adopt"] = time.monotonic() + ADOPT_AGAIN_SECONDS
            return False
        self._adopting.over("registered messages take over again")
        self._most_adopted = min(adoption.MOST, 2 * most)
        await self._done(outcome, [Move(lease, lease.position)])
        return more
