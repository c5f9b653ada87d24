"""One flush: everything that some stream entries change, and the stream's position, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from postmeter.aggregator import bounce_reasons, campaigns, dedup, messages, tables, texts
from postmeter.aggregator.batches import Batch, Rejected
from postmeter.aggregator.campaigns import Campaigns
from postmeter.aggregator.changes import Changes
from postmeter.aggregator.conversions import contacts
from postmeter.aggregator.conversions.contacts import Stored
from postmeter.aggregator.dead_letters import DeadLetters
from postmeter.aggregator.dimensions import Dimensions, Series, of_domain
from postmeter.aggregator.errors import REFUSALS, LeaseLost
from postmeter.aggregator.horizon import Horizon
from postmeter.aggregator.lease import Lease
from postmeter.aggregator.links import Links
from postmeter.aggregator.messages import Key, MessageCache
from postmeter.aggregator.queries import QUERIES
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.verdicts.judge import Judge
from postmeter.aggregator.verdicts.keeper import NetworksKeeper
from postmeter.aggregator.waiting import WaitingRoom
from postmeter.shared import metrics
from postmeter.shared.events import EventType
from postmeter.shared.live import LiveTotals
from postmeter.shared.postgres import Connection
from postmeter.shared.records import CampaignChange, Event, Hit, Record, Registration


@dataclass
class Outcome:
    """What a committed flush did. hits, events, registrations, campaigns: records that were fresh."""

    live: dict[int, LiveTotals] = field(default_factory=dict)
    hits: int = 0
    events: int = 0
    registrations: int = 0
    campaigns: int = 0
    contacts: Stored = field(default_factory=Stored)
    dead_letters: int = 0


class Flusher:
    """Counts batches. Shared by all shards of the process; what it remembers is committed."""

    def __init__(self, settings: AggregatorSettings, counters: metrics.AggregatorMetrics) -> None:
        self._months = settings.months()
        self.networks = NetworksKeeper(settings.networks, settings.networks_interval, counters)
        self._judge = Judge(lambda: self.networks.networks)
        self._network = texts.network if settings.keep_networks else texts.no_network
        self._counters = counters
        self._campaigns = Campaigns()
        self._dead_letters = DeadLetters(settings.dead_letter_limit, counters)
        self._dimensions = Dimensions(settings.series_limit, counters)
        self._links = Links(settings.link_limit, counters)
        self._cache = MessageCache(settings.message_cache)
        self._waiting = WaitingRoom(settings.waiting_limit, counters)

    async def flush(self, connection: Connection, lease: Lease, batches: list[Batch], position: str) -> Outcome:
        """Count `batches` and move the shard to `position`, both or neither. Raises LeaseLost."""
        everything = [record for batch in batches for record in batch.records]
        series = await self._prepare(connection, everything)
        async with connection.transaction():
            outcome, learnt = await self._count(connection, lease, batches, series)
            moved = await connection.fetchval(QUERIES["advance"], lease.shard, lease.epoch, lease.position, position)
            if moved is None:
                raise LeaseLost(f"shard {lease.shard}, epoch {lease.epoch}")
        self._cache.remember(learnt)
        return outcome

    async def sweep(self, connection: Connection, lease: Lease, younger_than: float) -> Outcome:
        """Count what waited for messages that are known by now. Raises LeaseLost."""
        async with connection.transaction():
            released = await self._waiting.sweep(connection, younger_than)
            if not released:
                return Outcome()
            outcome, learnt = await self._fold(connection, lease.shard, released, {}, [])
            held = await connection.fetchval(
                QUERIES["advance"], lease.shard, lease.epoch, lease.position, lease.position
            )
            if held is None:
                raise LeaseLost(f"shard {lease.shard}, epoch {lease.epoch}")
        self._cache.remember(learnt)
        return outcome

    async def accepts(self, connection: Connection, lease: Lease, found: list[Record]) -> bool:
        """Whether Postgres would take these records; nothing stays of the trial."""
        try:
            series = await self._prepare(connection, found)
            trial = connection.transaction()
            await trial.start()
            try:
                await self._fold(connection, lease.shard, found, series, [])
            finally:
                await trial.rollback()
        except REFUSALS:
            return False
        return True

    async def _prepare(self, connection: Connection, found: Iterable[Record]) -> dict[Series, int]:
        registrations = [record for record in found if type(record) is Registration]
        events = [record for record in found if type(record) is Event]
        await campaigns.change(connection, [record for record in found if type(record) is CampaignChange])
        await self._links.prepare(connection, found)
        return await self._dimensions.prepare(connection, registrations, events)

    async def _count(
        self, connection: Connection, lease: Lease, batches: list[Batch], series: dict[Series, int]
    ) -> tuple[Outcome, dict[Key, int]]:
        fresh = await dedup.fresh_batches(connection, batches, self._counters)
        found, conflicts = await dedup.fresh_records(connection, fresh, self._counters)
        rejected = [one for batch in fresh for one in batch.rejected] + conflicts
        return await self._fold(connection, lease.shard, found, series, rejected)

    async def _fold(
        self,
        connection: Connection,
        shard: int,
        found: list[Record],
        series: dict[Series, int],
        rejected: list[Rejected],
    ) -> tuple[Outcome, dict[Key, int]]:
        hits = [record for record in found if type(record) is Hit]
        events = [record for record in found if type(record) is Event]
        registrations = [record for record in found if type(record) is Registration]
        outcome = Outcome(hits=len(hits), events=len(events), registrations=len(registrations))
        outcome.campaigns = sum(type(record) is CampaignChange for record in found)
        learnt: dict[Key, int] = {}
        changes = Changes(Horizon(self._months), self._judge, self._network)
        if registrations:
            learnt, names = await messages.register(connection, registrations, series, changes.horizon, changes.cohorts)
            released = await self._waiting.release(connection, list(learnt), names)
            hits += [record for record in released if type(record) is Hit]
            events += [record for record in released if type(record) is Event]
        unknown = await self._resolve_and_add(connection, changes, hits, events, series, learnt)
        rejected = rejected + await self._waiting.park(connection, unknown)
        outcome.live = await tables.write(connection, changes, shard)
        await self._links.write(connection, changes.links, changes.horizon)
        await bounce_reasons.write(connection, changes.reasons, changes.horizon)
        await self._campaigns.write(connection, changes.sendings)
        outcome.contacts = await contacts.store(connection, found, changes.horizon)
        outcome.dead_letters = len(rejected)
        await self._dead_letters.put_aside(connection, shard, rejected)
        return outcome, learnt

    async def _resolve_and_add(
        self,
        connection: Connection,
        changes: Changes,
        hits: list[Hit],
        events: list[Event],
        series: dict[Series, int],
        learnt: dict[Key, int],
    ) -> list[Hit | Event]:
        """Add all events whose message is known to `changes`; returns the others."""
        named = {(e.workspace, e.provider, e.provider_message) for e in events if not e.message and e.provider_message}
        by_name, series_of = await messages.find_named(connection, named)
        hit_keys = [(hit.workspace, hit.message) for hit in hits]
        event_keys = [(e.workspace, e.message) for e in events if e.message]
        cached, missing = self._cache.known([*hit_keys, *event_keys])
        found = await messages.find(connection, [key for key in missing if key not in learnt])
        series_of |= cached | learnt | found
        learnt |= found
        changes.add_hits(
            (key, hit, at) for key, hit in zip(hit_keys, hits, strict=True) if (at := series_of.get(key)) is not None
        )
        unknown: list[Hit | Event] = [hit for key, hit in zip(hit_keys, hits, strict=True) if key not in series_of]
        for event in events:
            if event.type == EventType.RECEIVED or not (event.message or event.provider_message):
                changes.add_event(None, event, series[of_domain(event.workspace, event.domain)])
                continue
            name = (event.workspace, event.provider, event.provider_message)
            key = (event.workspace, event.message) if event.message else by_name.get(name)
            if key is None or key not in series_of:
                unknown.append(event)
            else:
                changes.add_event(key, event, series_of[key])
        return unknown
