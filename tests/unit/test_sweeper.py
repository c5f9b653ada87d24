"""A sweep that Postgres has no time for becomes smaller until it has: it is not tried in vain for ever."""

from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.outcome import Outcome
from postmeter.aggregator.stream.lease import Lease
from postmeter.aggregator.sweeper import Sweeper
from postmeter.aggregator.unregistered import adoption
from postmeter.aggregator.unregistered.waiting import SWEEP_LIMIT


class Slow:
    """A flusher for which Postgres has time for so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.swept: list[int] = []
        self.adopted: list[int] = []

    async def sweep(self, _: object, lease: Lease, age: float, behind: object, most: int) -> Outcome:
        self._look(self.swept, most)
        return Outcome()

    async def adopt(self, _: object, lease: Lease, most: int) -> tuple[Outcome, bool]:
        self._look(self.adopted, most)
        return Outcome(), False

    async def lower(self, _: object, lease: Lease) -> bool:
        return False

    def _look(self, looked: list[int], most: int) -> None:
        looked.append(most)
        if most > self._most:
            raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")


async def swept(slow: Any, times: int) -> None:
    async def done(*_: object) -> None:
        pass

    connection: Any = None
    sweeper = Sweeper(slow, done, AggregatorMetrics(CollectorRegistry()))
    for _ in range(times):
        await sweeper.sweep(connection, Lease(0, 1, "0-0"), "young")


async def test_it_becomes_smaller() -> None:
    slow = Slow(adoption.MOST // 2)
    await swept(slow, 6)
    assert slow.swept[:5] == [SWEEP_LIMIT, SWEEP_LIMIT // 2, SWEEP_LIMIT // 4, SWEEP_LIMIT // 8, SWEEP_LIMIT // 16]
    assert slow.adopted[:3] == [adoption.MOST, adoption.MOST // 2, adoption.MOST]


async def test_where_there_is_no_time_for_one_the_shard_waits() -> None:
    with pytest.raises(asyncpg.QueryCanceledError):
        await swept(Slow(0), 20)
