"""A world: its clock, network, disks and servers, the hosts of its processes, and what puts it together from a seed."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.shared.stream import shard_setting
from postmeter.tracking.metrics import TrackingMetrics
from tests.simulation.aggregator import Aggregator
from tests.simulation.disk import Disk
from tests.simulation.invariants import Ledger
from tests.simulation.loop import OUTSIDE, Loop, Process
from tests.simulation.network import Network
from tests.simulation.outside import Clock
from tests.simulation.postgres.server import Postgres
from tests.simulation.postgres.store import Transaction
from tests.simulation.redis_server import Redis
from tests.simulation.trace import Trace
from tests.simulation.tracker import Tracker

STOP_SECONDS = 30.0
AHEAD = (0.0, 0.0, -0.7, 0.7, -600.0, 600.0)
"""Seconds by which the clock of a server may be wrong that comes back."""


class World:
    """Everything there is. loses: Redis comes back without what it had not synced."""

    def __init__(self, chance: random.Random, folder: Path, *, loses: bool, shards: int, show: bool = False) -> None:
        self.chance = chance
        self.loop = Loop()  # type: ignore[abstract]  # what it lacks is asked by nobody, and would raise
        self.clock = Clock(self.loop)
        self.trace = Trace(self.loop.time, show)
        self.network = self.loop.network = Network(self.loop, chance, self.trace)
        self.disk = Disk(folder, chance, self.trace)
        self.ledger = Ledger(self.trace)
        self.shards = shards
        self.ahead = {"redis": 0.0, "postgres": 0.0}
        self.redis = Redis(self.loop, lambda: self._clock_of("redis"), self.ledger.problem, loses=loses)
        self.ledger.redis = self.redis
        self.postgres = Postgres(
            self.loop, lambda: int(self._clock_of("postgres") * 1e6), self.ledger.committed, self.ledger.problem
        )
        self.network.servers = {"redis": self.redis, "postgres": self.postgres}
        self.trackers: list[TrackerHost] = []
        self.aggregators: list[AggregatorHost] = []
        self.loop.set_executor_delay(lambda: chance.uniform(0.0002, 0.003))

    @property
    def hosts(self) -> list[Host]:
        return [*self.trackers, *self.aggregators]

    def _clock_of(self, server: str) -> float:
        return self.clock.true() + self.ahead[server]

    def _takes_over(self, server: str) -> None:
        """What comes back may be another machine: its clock is ahead of the world's by so many seconds."""
        self.ahead[server] = self.chance.choice(AHEAD)
        self.trace(server, f"is back, {self.ahead[server]} s ahead")

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.loop.call_later(seconds, what, context=OUTSIDE)

    def restart_redis(self, seconds: float) -> None:
        """It is away for so long."""
        if self.redis.is_up:
            self.trace("redis", f"goes away for {seconds:.2f} s")
            self.redis.stop()
            self.network.drop_all("redis")
            self.later(seconds, self._redis_back)

    def _redis_back(self) -> None:
        before = len(self.redis.lost)
        self._takes_over("redis")
        self.redis.start()
        self.trace("redis", f"has lost {len(self.redis.lost) - before} entries")

    def restart_postgres(self, seconds: float) -> None:
        if self.postgres.is_up:
            self.trace("postgres", f"goes away for {seconds:.2f} s")
            self.postgres.stop()
            self.network.drop_all("postgres")
            self.later(seconds, self._postgres_back)

    def _postgres_back(self) -> None:
        self._takes_over("postgres")
        self.postgres.is_up = True

    def set_shards(self, shards: int) -> None:
        """As `postmeter shards set`."""
        self.trace("operator", f"sets {shards} shards")
        transaction = Transaction(self.postgres.store, "operator")
        for shard in range(shards):
            row = {"shard": shard, "position": "0-0", "epoch": 0, "owner": None, "lease_until": None}
            transaction.insert("shard", shard, row)
        transaction.commit()
        self.redis.strings[shard_setting.KEY.encode()] = (str(shards).encode(), self.loop.now)


class Host:
    """Where one process runs, and a new one soon after it has died."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.process: Process | None = None
        self._is_stopping = False
        self.start()

    def start(self) -> None:
        """A new process, with nothing in memory."""
        self._is_stopping = False
        process = self.process = Process(self.name, skew=self.world.chance.uniform(-0.05, 0.05))
        process.at_death.append(self._died)
        self.world.trace(self.name, "starts")
        serving = self._begin(process)
        serving.add_done_callback(lambda _: self._ended(process, serving), context=OUTSIDE)

    def kill(self) -> None:
        if self.process is not None and not self._is_stopping:
            self.world.trace(self.name, "is killed")
            self.process.kill()

    def freeze(self, seconds: float) -> None:
        """As kill -STOP and, after so long, kill -CONT."""
        if self.process is not None:
            self.world.trace(self.name, f"is frozen for {seconds:.2f} s")
            self.process.frozen_until = self.world.loop.now + seconds

    async def restart(self) -> None:
        """As an update does."""
        if self.process is None or self._is_stopping:
            return
        process, self._is_stopping = self.process, True
        self.world.trace(self.name, "is told to stop")
        await self.stop()
        if process.is_alive:
            self.world.trace(self.name, "has stopped")
            process.at_death.remove(self._died)
            process.kill()
            self.world.disk.close_all(process)
            self.process = None
            self.start()

    async def stop(self) -> None:
        """As by SIGTERM: until it has ended, or died. Raises TimeoutError where it does neither."""
        process, serving = self.process, self._ask_to_stop()
        assert process is not None
        async with asyncio.timeout(STOP_SECONDS):
            while process.is_alive and not serving.done():  # noqa: ASYNC110  (a process that dies sets nothing)
                await asyncio.sleep(0.01)

    def _died(self) -> None:
        process, self.process = self.process, None
        assert process is not None
        self.world.disk.close_all(process)
        self.world.later(self.world.chance.uniform(0.05, 1.0), self.start)

    def _ended(self, process: Process, serving: asyncio.Task[None]) -> None:
        """A process that fails is started again; only a disk may have it fail."""
        if serving.cancelled() or (error := serving.exception()) is None or not process.is_alive:
            return
        self.world.trace(self.name, f"ends with {error!r}")
        if not isinstance(error, OSError):
            self.world.ledger.problem(f"{self.name} has ended with {error!r}")
        process.kill()

    def _begin(self, process: Process) -> asyncio.Task[None]:
        raise NotImplementedError

    def _ask_to_stop(self) -> asyncio.Task[None]:
        raise NotImplementedError


class TrackerHost(Host):
    """A tracking-service and its disk."""

    def __init__(self, world: World, name: str, shards: int) -> None:
        """shards: over so many it spreads records, until somebody says another number."""
        self._shards = shards
        self.root = world.disk.folder / name
        self.root.mkdir()
        self._metrics = TrackingMetrics(CollectorRegistry())
        super().__init__(world, name)

    def cut_power(self) -> None:
        """The machine falls: what was not synced is gone."""
        if self.process is not None and not self._is_stopping:
            self.world.trace(self.name, "loses power")
            self.process.kill()
            self.world.disk.cut_power(self.root)

    def _begin(self, process: Process) -> asyncio.Task[None]:
        self.tracker = Tracker(process, self.root, self._shards, self._metrics)
        return self.tracker.serving

    def _ask_to_stop(self) -> asyncio.Task[None]:
        self.tracker.stop.set()
        return self.tracker.serving


class AggregatorHost(Host):
    """An aggregator."""

    def _begin(self, process: Process) -> asyncio.Task[None]:
        metrics = _metrics_of(self.name)
        self.aggregator = Aggregator(process, self.world.network, self.world.shards, metrics)
        return self.aggregator.serving

    def _ask_to_stop(self) -> asyncio.Task[None]:
        self.aggregator.stop.set()
        return self.aggregator.serving


@functools.cache
def _metrics_of(name: str) -> AggregatorMetrics:
    """They are only written to, and making them takes longer than all that a small world counts."""
    return AggregatorMetrics(CollectorRegistry())
