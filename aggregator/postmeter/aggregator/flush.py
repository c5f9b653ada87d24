"""One flush: everything that some stream entries change, and the stream's position, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

import asyncpg
from prometheus_client import CollectorRegistry

from postmeter.aggregator import metrics
from postmeter.aggregator.conversions import contacts
from postmeter.aggregator.errors import in_words, is_of_the_data
from postmeter.aggregator.fold import restricted, texts
from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.restricted import Counted, Told
from postmeter.aggregator.fold.states import Flag
from postmeter.aggregator.live.onlookers import Onlookers
from postmeter.aggregator.outcome import Outcome
from postmeter.aggregator.refreshed import Refreshed
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.store import campaigns, consents, dedup, messages, server_run, tables
from postmeter.aggregator.store.anonymous_sources import AnonymousSources
from postmeter.aggregator.store.campaigns import Campaigns
from postmeter.aggregator.store.dead_letters import DeadLetters
from postmeter.aggregator.store.dimensions import Dimensions, of_domain
from postmeter.aggregator.store.links import Links
from postmeter.aggregator.store.memory import Memory, Transaction
from postmeter.aggregator.store.plans import Plans
from postmeter.aggregator.store.user_agents import UserAgents
from postmeter.aggregator.stream.batches import Batch, Rejected, reject
from postmeter.aggregator.stream.intake import Intake
from postmeter.aggregator.stream.lease import Lease, Move, advance
from postmeter.aggregator.unregistered import addressed, adoption, provisional
from postmeter.aggregator.unregistered.engagement_policy import EngagementPolicy
from postmeter.aggregator.unregistered.resolution import Prepared, Resolved, resolve
from postmeter.aggregator.unregistered.waiting import Place, WaitingRoom
from postmeter.aggregator.upkeep.erasure import late
from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.judge import Judge
from postmeter.aggregator.verdicts.keeper import ListKeeper
from postmeter.aggregator.verdicts.networks import Networks
from postmeter.aggregator.verdicts.settings import VerdictSettings
from postmeter.shared.privacy import ceilings
from postmeter.shared.privacy.levels import Ceilings, Level
from postmeter.shared.storage import partitions
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.stream import source_log
from postmeter.shared.stream.live_totals import LiveTotals
from postmeter.shared.stream.streams import slot_of_name
from postmeter.shared.text import hosts

_KEY = attrgetter("workspace", "message")


class Flusher:
    """Counts batches. Shared by all shards of the process; what it remembers is committed."""

    def __init__(self, settings: AggregatorSettings, counters: metrics.AggregatorMetrics) -> None:
        self._months = settings.months()
        networks, agents = counters.networks_refreshes, counters.agents_refreshes
        self.networks = ListKeeper(
            Networks.shipped(), Networks.read, settings.networks, settings.networks_interval, networks
        )
        self.agents = ListKeeper(
            AgentNames.shipped(), AgentNames.read, settings.agents, settings.agents_interval, agents
        )
        self.onlookers = Onlookers()
        self._judge = Judge(lambda: self.networks.known, lambda: self.agents.known)
        self._network = hosts.network if settings.keep_networks else hosts.no_network
        self._keeps_networks = settings.keep_networks
        self._counters = counters
        self._unsaid = metrics.AggregatorMetrics(CollectorRegistry())
        self._campaigns = Campaigns()
        self._dead_letters = DeadLetters(settings.dead_letter_limit, self._network, counters)
        self._dimensions = Dimensions(settings.series_limit, counters)
        self._links = Links(settings.link_limit, counters.link_overflow)
        self._user_agents = UserAgents(settings.user_agent_limit, counters.user_agent_overflow)
        self._engagement = EngagementPolicy()
        self._verdicts = VerdictSettings()
        self._ceilings = Refreshed[dict[int, Ceilings]]({}, ceilings.read)
        self._leaving = Refreshed[frozenset[str]](frozenset(), partitions.leaving)
        self._sources = AnonymousSources(self._dimensions)
        self.memory = Memory(settings.message_cache)
        self._repeaters = messages.Repeaters()
        self._slim = Refreshed(False, messages.may_be_slim)
        self._clocks = Refreshed(None, server_run.compare_clocks)
        self._waiting = WaitingRoom(settings.waiting_limit, counters)
        self._plans = Plans()

    def forget(self) -> None:
        """Remember nothing of what was read or committed."""
        self.memory.forget()
        self._campaigns.forget()
        self._dimensions.forget()
        self._links.forget()
        self._user_agents.forget()
        self._sources.forget()

    async def flush(
        self, connection: Connection, moves: Sequence[Move], batches: list[Batch], *, release: bool = True
    ) -> Outcome:
        """Count `batches` and move their shards, all or nothing. Raises LeaseLost.

        moves: live totals grow under the first one's shard. release: with what waits for the messages that they
        register; else the sweep finds it.
        """
        prepared = await self._prepare(connection, _all(batches))
        try:
            async with self.memory.transaction(connection) as held:
                fresh = await dedup.fresh(connection, batches, self._counters)
                outcome = await self._count(held, moves[0].lease.shard, moves, fresh, prepared, release=release)
        except asyncpg.UndefinedTableError:  # a tier that leaves is gone: tried again without it, all is well
            self._leaving.expire()
            raise
        self._plans.count(held.learnt)
        return outcome

    async def bury(self, connection: Connection, moves: Sequence[Move], rejected: list[Rejected]) -> Outcome:
        """Put these aside instead of counting anything, and move the shards. Raises LeaseLost."""
        async with connection.transaction():
            await self._dead_letters.put_aside(connection, moves[0].lease.shard, rejected)
            await advance(connection, moves)
        return Outcome(dead_letters=len(rejected))

    async def sweep(
        self, connection: Connection, lease: Lease, younger_than: float, behind: Place, most: int
    ) -> Outcome:
        """Count, of the next so many events that wait, those whose messages are known by now, and at most so many of
        those that name only an address. Raises LeaseLost.

        One that cannot be counted is put aside where it is looked at alone (most is 1); else its error is raised.
        """
        await self._refresh(connection)
        stay = [Move(lease, lease.position)]
        unclear: dict[str, list[source_log.Unread]] = {}
        async with self.memory.transaction(connection) as held:
            swept, last = await self._waiting.sweep(connection, younger_than, behind, most)
            if most > 1 or not (swept.records or swept.rejected):
                settled = await addressed.settle(connection, most)
                self._counters.waiting.labels("released").inc(len(settled.records) + len(settled.rejected))
                swept.records += settled.records
                swept.rejected += settled.rejected
                unclear = settled.unclear
            if not (swept.records or swept.rejected):
                return Outcome(sweep_behind=last)
            try:
                async with connection.transaction():
                    found = Intake(rejected=list(swept.rejected)).add(swept.records)
                    prepared = Prepared(clicks=late.of_haunted(await late.clicks(connection, found)))
                    outcome = await self._count(held, lease.shard, stay, found, prepared)
            except Exception as error:
                if most > 1 or not is_of_the_data(error):
                    raise
                held.spoilt = True
                rejected = [
                    *swept.rejected,
                    *(reject(one, f"refused: {in_words(error)}", b"") for one in swept.records),
                ]
                await self._dead_letters.put_aside(connection, lease.shard, rejected)
                await advance(connection, stay)
                outcome = Outcome(dead_letters=len(rejected))
            outcome.unclear = unclear
            outcome.sweep_behind = last
        return outcome

    async def adopt(self, connection: Connection, lease: Lease, most: int = adoption.MOST) -> tuple[Outcome, bool]:
        """Move what was counted of messages before they were registered. Also returns whether there may be more.

        most: unregistered messages that are looked at. Raises LeaseLost.
        """
        await self._refresh(connection)
        changes = self._changes()
        async with self.memory.transaction(connection) as held:
            moved = await adoption.adopt(connection, changes, self._engagement, most)
            outcome = Outcome(adopted=moved.messages)
            if moved.messages:
                await tables.write_messages(held, changes)
                moves = [Move(lease, lease.position)]
                outcome.live = await self._write_sums(connection, lease.shard, moves, changes)
                outcome.judged = changes.judged
                await tables.remove_emptied(connection, changes)
        return outcome, moved.more

    async def lower(self, connection: Connection, lease: Lease) -> bool:
        """Lower messages whose recipients have chosen lately. Whether there may be more now. Raises LeaseLost."""
        async with self.memory.transaction(connection) as held:
            more = await consents.look_again(held)
            if held.turns:
                await advance(connection, [Move(lease, lease.position)])
        return more

    async def refusal(self, connection: Connection, shard: int, batch: Batch) -> Exception | None:
        """What is to be said against the batch, without what waits for its messages; nothing stays of the trial.

        Raises what is not the data's fault.
        """
        try:
            prepared = await self._prepare(connection, _all([batch]))
            async with self.memory.trial(connection) as held:
                fresh = await dedup.fresh(connection, [batch], self._unsaid)
                await self._count(held, shard, [], fresh, prepared, release=False)
        except Exception as error:
            if not is_of_the_data(error):
                raise
            return error
        return None

    async def _refresh(self, connection: Connection) -> None:
        await self._clocks.refresh(connection)
        await self._plans.renew(connection)
        await self._engagement.refresh(connection)
        await self._verdicts.refresh(connection)
        await self._ceilings.refresh(connection)
        await self._leaving.refresh(connection)
        await self._slim.refresh(connection)

    def _texts(self, link: int | None, user_agent: int | None) -> tuple[str | None, str | None]:
        """What is remembered of these numbers."""
        found = self._user_agents.remembered(user_agent)
        return self._links.remembered(link), None if found is None else texts.user_agent(found)

    def _changes(self) -> Changes:
        return Changes(
            Horizon(self._months, leaving=self._leaving.now),
            self._judge,
            keeps_networks=self._keeps_networks,
            link_ids=self._links.ids,
            user_agent_ids=self._user_agents.ids,
            thresholds=self._verdicts.of,
            said=self._ceilings.now,
            shown=self.onlookers.watched,
        )

    def _whole(self, records: list[Told], *, sure: bool = False) -> list[Told]:
        """Those of which no less than everything is kept, for all that is known by now; sure: that is known. Where
        others' texts are kept, they stand in the history itself.
        """
        return restricted.whole(records, self._ceilings.now, self.memory.get, sure=sure)

    async def _prepare(self, connection: Connection, found: Intake) -> Prepared:
        """Make what messages point to, in transactions of their own: a row too many does no harm."""
        await campaigns.change(connection, found.campaigns)
        await consents.prepare(connection, found.consents)
        if any(one.workspace not in self._ceilings.now for one in found.consents):
            self._ceilings.expire()  # the first choice in a workspace acts at once, also on mail that nobody registers
        await self._refresh(connection)
        clicked = await late.clicks(connection, found)
        hits = self._links.unknown(clicked.hits, clicked.haunted)
        events = self._links.unknown(clicked.events, clicked.haunted)
        whole = self._whole(hits, sure=True), self._whole(events, sure=True)
        await self._links.prepare(connection, *whole, clicked.haunted)
        hits, events = self._user_agents.unknown(found.hits), self._user_agents.unknown(found.events)
        await self._user_agents.prepare(connection, self._whole(hits), self._whole(events))
        drafts = await provisional.drafts(connection, found.events, Horizon(self._months)) if found.events else {}
        series = await self._dimensions.prepare(connection, [*found.registrations, *drafts.values()], found.events)
        anonymous = await self._sources.prepare(connection, found.registrations)
        return Prepared(series, drafts, anonymous, late.of_haunted(clicked))

    async def _count(
        self,
        held: Transaction,
        shard: int,
        moves: Sequence[Move],
        found: Intake,
        prepared: Prepared,
        *,
        release: bool = True,
    ) -> Outcome:
        """What is done with records that were never counted before, step by step; then shards are moved."""
        connection, changes = held.connection, self._changes()
        await self._links.hold(connection, prepared.clicks)
        erased = await late.withhold(connection, found, prepared)
        outcome = Outcome.of(found)
        await self._register(held, changes, found, prepared, erased, release=release)
        taken = await consents.take(held, found.consents)
        changes.chosen = taken.chosen
        found.rejected += taken.nobodys
        resolved = await resolve(held, changes, found.hits, found.events, prepared)
        await late.strip(connection, resolved, erased)
        await self._fold(connection, changes, resolved, prepared)
        found.rejected += await self._waiting.park(connection, [*resolved.unknown, *taken.early], changes)
        await tables.write_messages(held, changes)
        outcome.contacts = await contacts.store(connection, found.purchases, found.custom, changes.horizon)
        await self._dead_letters.put_aside(connection, shard, found.rejected)
        outcome.live = await self._write_sums(connection, shard, moves, changes)
        outcome.made, outcome.judged, outcome.withheld = resolved.made, changes.judged, changes.withheld
        outcome.shown = self.onlookers.of(changes, self._texts)
        outcome.dead_letters = len(found.rejected)
        return outcome

    async def _register(
        self,
        held: Transaction,
        changes: Changes,
        found: Intake,
        prepared: Prepared,
        erased: late.Erased,
        *,
        release: bool,
    ) -> None:
        """Store messages; what waited for them is found too."""
        # Repetitions of an order that are counted at the same time follow each other.
        held.also.update(slot_of_name(one.workspace, "", one.id) for one in found.purchases)
        # The first registration holds, and one of a message that is known slows down all of a flush: of those that are
        # repeated soon the message is remembered.
        known = self.memory.all_of(map(_KEY, found.registrations))
        unknown = (
            [one for one in found.registrations if (one.workspace, one.message) not in known]
            if known
            else (found.registrations)
        )
        if not unknown:
            return
        connection = held.connection
        learnt, names = await messages.register(
            connection,
            unknown,
            prepared.series,
            changes.horizon,
            changes.cohorts,
            changes.said,
            self._repeaters,
            senders=self._dimensions.senders if self._slim.now else None,
        )
        held.create(learnt)
        await provisional.notice(connection, names)
        if release:
            released = await self._waiting.release(
                connection, [*learnt, *prepared.anonymous, *erased.awaited], messages.believed(names, unknown)
            )
            released.records = await late.withhold_released(connection, released.records, erased)
            waited = await late.clicks(connection, Intake().add(released.records))
            await self._links.hold(connection, late.of_haunted(waited))
            found.add(released.records).rejected.extend(released.rejected)

    async def _fold(self, connection: Connection, changes: Changes, resolved: Resolved, prepared: Prepared) -> None:
        """Add all events whose message is known to `changes`."""
        changes.flags = resolved.flags
        ours, theirs = await self._engagement.kept(connection, resolved.hits, resolved.events)
        full, less = restricted.split(resolved.hits, resolved.flags, changes.said, levels=resolved.levels)
        if ours:
            changes.add_hits(hit for hit in full if hit[0] not in ours)
            changes.add_hits((hit for hit in full if hit[0] in ours), counted=False)
        else:
            changes.add_hits(full)
        for hit, level in less:
            restricted.add_hit(changes, hit, level, counted=hit[0] not in ours)
        for hit in resolved.anonymous:
            self._add_anonymous(changes, hit, resolved.providers[hit[0]])
        for event in resolved.alone:
            changes.add_event(None, event, prepared.series[of_domain(event.workspace, event.domain)])
        for key, event, series in resolved.events:
            counted = event.mail is None or (key, event.type) not in theirs
            restricted.add_event(changes, key, event, series, counted=counted)

    def _add_anonymous(self, changes: Changes, hit: Counted, provider: str) -> None:
        """Count a hit whose token names no message; unless the provider of its source's messages counts."""
        (workspace, _), kind = hit[0], restricted.kind_of(hit[1])
        level = max(Level.ANONYMOUS, restricted.level_of(kind, workspace, 0, changes.said))
        carries = Flag.TRACKS_OPENS | Flag.TRACKS_CLICKS
        theirs = self._engagement.counts_theirs(kind, workspace, carries, provider)
        restricted.add_hit(changes, hit, level, counted=not theirs)

    async def _write_sums(
        self, connection: Connection, shard: int, moves: Sequence[Move], changes: Changes
    ) -> dict[int, LiveTotals]:
        """Write, after all else, what the changes come to, and move shards. All flushes add to the same counts of links
        and sums, and wait for each other there until the commit: they come last (ADR 0065).
        """
        await self._campaigns.write(connection, changes.sendings)
        live = await tables.write_notice(connection, changes, shard)
        clicks = Counter(changes.links)
        clicks.update(changes.relinked)
        await self._links.write(connection, clicks, changes.horizon)
        await tables.write_sums(connection, changes)
        await advance(connection, moves)
        return live


def _all(batches: list[Batch]) -> Intake:
    """The records of these, counted before or not."""
    found = Intake()
    for batch in batches:
        found.add(batch.records)
    return found
