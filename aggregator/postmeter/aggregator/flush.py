"""One flush: everything that some stream entries change, and the stream's position, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from postmeter.aggregator import (
    adoption,
    bounce_reasons,
    campaigns,
    dedup,
    emptied,
    messages,
    tables,
    texts,
    unregistered,
)
from postmeter.aggregator.batches import Batch, Rejected
from postmeter.aggregator.campaigns import Campaigns
from postmeter.aggregator.changes import Changes
from postmeter.aggregator.choice import Choice
from postmeter.aggregator.conversions import contacts
from postmeter.aggregator.conversions.contacts import Stored
from postmeter.aggregator.dead_letters import DeadLetters
from postmeter.aggregator.dimensions import Dimensions, of_domain
from postmeter.aggregator.errors import REFUSALS, LeaseLost
from postmeter.aggregator.horizon import Horizon
from postmeter.aggregator.lease import Lease
from postmeter.aggregator.links import Click, Links
from postmeter.aggregator.messages import Key, MessageCache
from postmeter.aggregator.queries import QUERIES
from postmeter.aggregator.resolution import Prepared, Resolved, resolve
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.verdicts.judge import Judge
from postmeter.aggregator.verdicts.keeper import NetworksKeeper
from postmeter.aggregator.verdicts.settings import VerdictSettings
from postmeter.aggregator.waiting import WaitingRoom
from postmeter.shared import metrics
from postmeter.shared.live import LiveTotals
from postmeter.shared.postgres import Connection
from postmeter.shared.records import CampaignChange, Event, Hit, Record, Registration


@dataclass
class Outcome:
    """What a committed flush did. hits, events, registrations, campaigns: records that were fresh.

    made: messages that nobody had registered. adopted: those of them that somebody has registered since.
    judged: clicks of which their company changed the verdict, by reason.
    """

    live: dict[int, LiveTotals] = field(default_factory=dict)
    hits: int = 0
    events: int = 0
    registrations: int = 0
    campaigns: int = 0
    made: int = 0
    adopted: int = 0
    judged: Counter[str] = field(default_factory=Counter)
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
        self._choice = Choice()
        self._verdicts = VerdictSettings()
        self._cache = MessageCache(settings.message_cache)
        self._waiting = WaitingRoom(settings.waiting_limit, counters)

    async def flush(self, connection: Connection, lease: Lease, batches: list[Batch], position: str) -> Outcome:
        """Count `batches` and move the shard to `position`, both or neither. Raises LeaseLost."""
        everything = [record for batch in batches for record in batch.records]
        prepared = await self._prepare(connection, everything)
        async with connection.transaction():
            outcome, learnt = await self._count(connection, lease, batches, prepared)
            moved = await connection.fetchval(QUERIES["advance"], lease.shard, lease.epoch, lease.position, position)
            if moved is None:
                raise LeaseLost(f"shard {lease.shard}, epoch {lease.epoch}")
        self._cache.remember(learnt)
        return outcome

    async def sweep(self, connection: Connection, lease: Lease, younger_than: float) -> Outcome:
        """Count what waited for messages that are known by now. Raises LeaseLost."""
        await self._refresh(connection)
        async with connection.transaction():
            released = await self._waiting.sweep(connection, younger_than)
            if not released:
                return Outcome()
            outcome, learnt = await self._fold(connection, lease.shard, released, Prepared(), [])
            await _confirm(connection, lease)
        self._cache.remember(learnt)
        return outcome

    async def adopt(self, connection: Connection, lease: Lease) -> tuple[Outcome, bool]:
        """Move what was counted of messages before they were registered. Also returns whether there may be more.

        Raises LeaseLost.
        """
        await self._refresh(connection)
        changes = self._changes()
        clicks = Counter[Click]()
        async with connection.transaction():
            moved = await adoption.adopt(connection, changes, clicks, self._choice)
            outcome = Outcome(adopted=moved.messages)
            if moved.messages:
                outcome.live = await self._write(connection, lease.shard, changes, clicks)
                outcome.judged = changes.judged
                await emptied.remove(connection, changes, clicks)
                await _confirm(connection, lease)
        return outcome, moved.more

    async def accepts(self, connection: Connection, lease: Lease, found: list[Record]) -> bool:
        """Whether Postgres would take these records; nothing stays of the trial."""
        try:
            prepared = await self._prepare(connection, found)
            trial = connection.transaction()
            await trial.start()
            try:
                await self._fold(connection, lease.shard, found, prepared, [])
            finally:
                await trial.rollback()
        except REFUSALS:
            return False
        return True

    async def _refresh(self, connection: Connection) -> None:
        await self._choice.refresh(connection)
        await self._verdicts.refresh(connection)

    def _changes(self) -> Changes:
        return Changes(Horizon(self._months), self._judge, self._network, self._verdicts.of)

    async def _prepare(self, connection: Connection, found: Iterable[Record]) -> Prepared:
        registrations = [record for record in found if type(record) is Registration]
        events = [record for record in found if type(record) is Event]
        await campaigns.change(connection, [record for record in found if type(record) is CampaignChange])
        await self._links.prepare(connection, found)
        await self._refresh(connection)
        drafts = await unregistered.drafts(connection, events, Horizon(self._months)) if events else {}
        series = await self._dimensions.prepare(connection, [*registrations, *drafts.values()], events)
        return Prepared(series, drafts)

    async def _count(
        self, connection: Connection, lease: Lease, batches: list[Batch], prepared: Prepared
    ) -> tuple[Outcome, dict[Key, int]]:
        fresh = await dedup.fresh_batches(connection, batches, self._counters)
        found, conflicts = await dedup.fresh_records(connection, fresh, self._counters)
        rejected = [one for batch in fresh for one in batch.rejected] + conflicts
        return await self._fold(connection, lease.shard, found, prepared, rejected)

    async def _fold(
        self,
        connection: Connection,
        shard: int,
        found: list[Record],
        prepared: Prepared,
        rejected: list[Rejected],
    ) -> tuple[Outcome, dict[Key, int]]:
        hits = [record for record in found if type(record) is Hit]
        events = [record for record in found if type(record) is Event]
        registrations = [record for record in found if type(record) is Registration]
        outcome = Outcome(hits=len(hits), events=len(events), registrations=len(registrations))
        outcome.campaigns = sum(type(record) is CampaignChange for record in found)
        learnt: dict[Key, int] = {}
        changes = self._changes()
        if registrations:
            learnt, names = await messages.register(
                connection, registrations, prepared.series, changes.horizon, changes.cohorts
            )
            await unregistered.notice(connection, names)
            released = await self._waiting.release(connection, list(learnt), names)
            hits += [record for record in released if type(record) is Hit]
            events += [record for record in released if type(record) is Event]
        resolved = await resolve(connection, changes, self._cache, hits, events, prepared, learnt)
        outcome.made = resolved.made
        await self._add(connection, changes, resolved, prepared)
        rejected = rejected + await self._waiting.park(connection, resolved.unknown)
        outcome.live = await self._write(connection, shard, changes, changes.links)
        outcome.judged = changes.judged
        outcome.contacts = await contacts.store(connection, found, changes.horizon)
        outcome.dead_letters = len(rejected)
        await self._dead_letters.put_aside(connection, shard, rejected)
        return outcome, learnt | resolved.found

    async def _write(
        self, connection: Connection, shard: int, changes: Changes, clicks: list[Click] | Counter[Click]
    ) -> dict[int, LiveTotals]:
        live = await tables.write(connection, changes, shard)
        if changes.relinked:
            clicks = Counter(clicks)
            clicks.update(changes.relinked)
        await self._links.write(connection, clicks, changes.horizon)
        await bounce_reasons.write(connection, changes.reasons, changes.horizon)
        await self._campaigns.write(connection, changes.sendings)
        return live

    async def _add(self, connection: Connection, changes: Changes, resolved: Resolved, prepared: Prepared) -> None:
        """Add all events whose message is known to `changes`."""
        ours, theirs = await self._choice.kept(connection, resolved.hits, resolved.events)
        if ours:
            changes.add_hits(hit for hit in resolved.hits if hit[0] not in ours)
            changes.add_hits((hit for hit in resolved.hits if hit[0] in ours), counted=False)
        else:
            changes.add_hits(resolved.hits)
        for event in resolved.alone:
            changes.add_event(None, event, prepared.series[of_domain(event.workspace, event.domain)])
        for key, event, series in resolved.events:
            counted = event.mail is None or (key, event.type) not in theirs
            changes.add_event(key, event, series, counted=counted)


async def _confirm(connection: Connection, lease: Lease) -> None:
    held = await connection.fetchval(QUERIES["advance"], lease.shard, lease.epoch, lease.position, lease.position)
    if held is None:
        raise LeaseLost(f"shard {lease.shard}, epoch {lease.epoch}")
