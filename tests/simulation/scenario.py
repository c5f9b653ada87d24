"""What happens in a world: mail is opened and told of while things break, then all is mended, and is to settle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from postmeter.aggregator.worker import BEGINNING
from postmeter.shared.stream.records import Event, Hit, Registration
from tests.simulation.invariants import unshown
from tests.simulation.mail import Mail, keyed
from tests.simulation.tracker import Tracker
from tests.simulation.world import AggregatorHost, TrackerHost, World

SETTLE_SECONDS = 40.0
"""After the last fault: everything that waits for anything has had its time-outs many times over."""
ASK_SECONDS = 2.0
TRIES = 4


@dataclass(frozen=True)
class Plan:
    """What a seed draws before anything happens."""

    shards: int
    trackers: int
    disagree: bool
    aggregators: int
    messages: int
    hits: int
    events: int
    faults: int
    renumberings: int
    trouble: float
    cuts: float
    stalls: float
    disk_faults: float
    loses: bool

    @classmethod
    def drawn(cls, chance: random.Random) -> Plan:
        # Every fourth is a long story, in which messages go from one aggregator to another and back: because trackers
        # disagree about the number of shards all the time, or because it changes.
        is_long = chance.random() < 0.25
        disagree = is_long and chance.random() < 0.6
        return cls(
            shards=chance.randint(1, 3),
            trackers=2 if is_long else chance.randint(1, 2),
            disagree=disagree,
            aggregators=chance.randint(2, 3) if is_long else chance.randint(1, 3),
            messages=chance.randint(4, 8) if is_long else chance.randint(1, 4),
            hits=chance.randint(16, 26) if is_long else chance.randint(5, 12),
            events=chance.randint(12, 20) if is_long else chance.randint(3, 8),
            faults=chance.randint(1, 5),
            renumberings=0 if disagree else 8 if is_long else chance.choice((0, 0, 0, 2)),
            trouble=chance.uniform(2.5, 4.0) if is_long else chance.uniform(1.0, 2.0),
            cuts=chance.choice((0.0, 0.01, 0.03)),
            stalls=chance.choice((0.0, 0.01, 0.03)),
            disk_faults=chance.choice((0.0, 0.0, 0.1)),
            loses=chance.random() < 0.2,
        )


class Scenario:
    """One seed's story."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._chance = world.chance
        self._mail = Mail(world.chance, plan.messages)
        self.waits_for = "all to be told"

    async def play(self) -> None:
        """Until all has settled and stopped. Raises TimeoutError where it does not."""
        world, plan = self._world, self._plan
        for n in range(plan.trackers):
            shards = n + plan.shards if plan.disagree else plan.shards
            world.trackers.append(TrackerHost(world, f"tracker-{n}", shards))
        for n in range(plan.aggregators):
            world.aggregators.append(AggregatorHost(world, f"aggregator-{n}"))
        await asyncio.sleep(0.1)
        network = world.network
        network.cuts, network.stalls, world.disk.faults = plan.cuts, plan.stalls, plan.disk_faults
        told = [self._at_some_time(0.5, self._register(n)) for n in range(plan.messages)]
        told += [self._at_some_time(plan.trouble, self._visit()) for _ in range(plan.hits)]
        told += [self._at_some_time(plan.trouble, self._tell()) for _ in range(plan.events)]
        broken = [self._at_some_time(plan.trouble, self._break()) for _ in range(plan.faults)]
        renumbered = [self._at_some_time(plan.trouble, self._renumber()) for _ in range(plan.renumberings)]
        await asyncio.gather(*told, *broken, *renumbered)
        network.calm()
        world.disk.faults = 0.0
        world.trace("world", "no more faults")
        async with asyncio.timeout(SETTLE_SECONDS):
            await self._settle()
        world.trace("world", "has settled")
        for host in (*world.aggregators, *world.trackers):
            await host.stop()
        world.trace("world", "has stopped")

    async def _at_some_time(self, within: float, what: Coroutine[Any, Any, None]) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, within))
        await what

    # -- what is told

    def _now(self) -> int:
        return int(self._world.clock.true() * 1e6)

    async def _register(self, n: int) -> None:
        await self._write(self._mail.registration(n, self._now()))

    async def _tell(self) -> None:
        await self._write(self._mail.event(self._now()))

    async def _write(self, record: Event | Registration) -> None:
        """As a sender does: again until it is answered, to whichever tracker; sometimes again though it was."""
        for _ in range(TRIES):
            if await self._ask(record) and self._chance.random() < 0.9:
                return
            await asyncio.sleep(self._chance.uniform(0.01, 0.5))

    async def _visit(self) -> None:
        """As a mail client does: once."""
        await self._ask(self._mail.hit(self._now()))

    async def _ask(self, record: Hit | Event | Registration) -> bool:
        """Whether an answer has come back."""
        network = self._world.network
        host = self._chance.choice(self._world.trackers)
        await asyncio.sleep(network.delay())
        if host.process is None or not host.tracker.is_ready:
            return False
        answer = asyncio.get_running_loop().create_future()
        host.process.spawn(self._serve(host.tracker, record, answer))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await answer
        except TimeoutError:
            return False
        if network.cuts and self._chance.random() < network.cuts:
            return False
        await asyncio.sleep(network.delay())
        return bool(answer.result())

    async def _serve(self, tracker: Tracker, record: Hit | Event | Registration, answer: asyncio.Future[bool]) -> None:
        """In the tracker's process: the moment of its answer is that of the promise."""
        ledger = self._world.ledger
        ledger.ask(record)
        if isinstance(record, Hit):
            dropped = await tracker.hit(keyed(record))
        else:
            dropped = await tracker.write([keyed(record)])
        self._world.trace(tracker.process.name, f"answers {type(record).__name__} {record.at} {dropped or 'recorded'}")
        if dropped is None:
            ledger.answer(record)
        if not answer.done():
            answer.set_result(dropped is None)

    # -- what breaks

    async def _break(self) -> None:
        chance, world = self._chance, self._world
        tracker, aggregator = chance.choice(world.trackers), chance.choice(world.aggregators)
        some = chance.choice(world.hosts)
        faults: list[Callable[[], Any]] = [
            tracker.kill,
            tracker.cut_power,
            tracker.restart,
            aggregator.kill,
            aggregator.kill,
            aggregator.restart,
            lambda: aggregator.freeze(chance.uniform(0.3, 3.0)),
            lambda: aggregator.freeze(chance.uniform(1.0, 2.0)),
            lambda: tracker.freeze(chance.uniform(0.1, 1.5)),
            lambda: world.network.part(some.name, chance.choice(("redis", "postgres")), chance.uniform(0.1, 2.0)),
            lambda: world.restart_redis(chance.uniform(0.05, 1.5)),
            lambda: world.restart_postgres(chance.uniform(0.05, 1.0)),
            lambda: world.aggregators.append(AggregatorHost(world, f"aggregator-{len(world.aggregators)}")),
        ]
        done = chance.choice(faults)()
        if asyncio.iscoroutine(done):
            await done

    async def _renumber(self) -> None:
        self._world.set_shards(self._chance.randint(1, 4))

    # -- how it ends

    async def _settle(self) -> None:
        while unmet := next(self._unmet(), None):
            self.waits_for = unmet
            await asyncio.sleep(0.1)
        self.waits_for = "all to stop"

    def _unmet(self) -> Iterator[str]:
        yield from self._unready()
        yield from self._uncounted()
        yield from unshown(self._world.postgres.store, self._world.redis)

    def _unready(self) -> Iterator[str]:
        world = self._world
        for host in world.hosts:
            if host.process is None or host.process.frozen_until > world.loop.now:
                yield f"{host.name} to run"
        for name, server in world.network.servers.items():
            if not server.is_up:
                yield f"{name} to come back"
        for tracker in world.trackers:
            if not tracker.tracker.has_emptied:
                yield f"the spool of {tracker.name} to run empty"

    def _uncounted(self) -> Iterator[str]:
        world = self._world
        store = world.postgres.store
        positions = {f"postmeter:{{{row['shard']}}}:stream".encode(): row["position"] for row in store.rows("shard")}
        for name, stream in world.redis.streams.items():
            # Of a stream whose end Redis has lost, and that was read again from its beginning, nothing may be left.
            is_empty = not stream.entries and positions.get(name) == BEGINNING
            if positions.get(name) != f"{stream.last[0]}-{stream.last[1]}" and not is_empty:
                yield f"{name.decode()} to be counted to its end"
        known = store.tables.get("message", {})
        for row in store.rows("waiting"):
            if (row["workspace"], row["message"].bytes) in known:
                yield "what waits for a message that is there"
