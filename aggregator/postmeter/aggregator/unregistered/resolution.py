"""Whose events are these: by our id or the provider's, of a message that is registered, made from them, or unknown."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter

from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.states import Key, asked
from postmeter.aggregator.store import anonymous_sources, messages
from postmeter.aggregator.store.memory import Transaction
from postmeter.aggregator.store.messages import Found, LockedMessage, Name, Named
from postmeter.aggregator.unregistered import provisional
from postmeter.aggregator.unregistered.provisional import Drafts, told_domain
from postmeter.shared.privacy.levels import Level
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import Series
from postmeter.shared.stream.records import MARK_BITS, MARK_MASK, Event, Hit, is_alone

_MARK, _KEY = attrgetter("mark"), attrgetter("workspace", "message")


@dataclass
class Prepared:
    """What was made or drafted before the flush's transaction. anonymous: the sources that its messages' links name.

    clicks: those whose links may lose their URLs, for their workspaces have erased something of late.
    """

    series: dict[Series, int] = field(default_factory=dict)
    drafts: Drafts = field(default_factory=dict)
    anonymous: list[Key] = field(default_factory=list)
    clicks: list[Hit | Event] = field(default_factory=list)


@dataclass
class Resolved:
    """Events with their messages and these messages' series. alone: those that need no message.

    anonymous: hits of anonymous sources, whose `providers` are told too. flags: of messages that are not PLAIN. levels:
    of some hits less than everything is kept, as their links say. made: how many messages were made from events.
    """

    hits: list[tuple[Key, Hit, int]] = field(default_factory=list)
    events: list[tuple[Key, Event, int]] = field(default_factory=list)
    alone: list[Event] = field(default_factory=list)
    anonymous: list[tuple[Key, Hit, int]] = field(default_factory=list)
    providers: dict[Key, str] = field(default_factory=dict)
    flags: dict[Key, int] = field(default_factory=dict)
    levels: bool = False
    unknown: list[Hit | Event] = field(default_factory=list)
    made: int = 0


def name_of(event: Event) -> Name:
    """Workspace, provider and the provider's id of the event's message."""
    return (event.workspace, event.provider, event.provider_message)


async def resolve(
    held: Transaction,
    changes: Changes,
    hits: list[Hit],
    events: list[Event],
    prepared: Prepared,
) -> Resolved:
    """Find every event's message; make those that webhooks tell of and nobody knows."""
    connection = held.connection
    resolved = Resolved(alone=[event for event in events if is_alone(event)])
    if resolved.alone:
        events = [event for event in events if not is_alone(event)]
    if max(map(_MARK, hits), default=0) > MARK_MASK:
        resolved.levels = True
        if anonymous := [hit for hit in hits if hit.mark >> MARK_BITS == Level.ANONYMOUS]:
            hits = [hit for hit in hits if hit.mark >> MARK_BITS != Level.ANONYMOUS]
            await _sources(connection, resolved, anonymous)
    hit_keys: list[Key] = list(map(_KEY, hits))
    event_keys = [(event.workspace, event.message) for event in events if event.message]
    wanted = {*hit_keys, *event_keys}
    series_of = await held.series(wanted)
    resolved.flags = held.flags
    if len(series_of) == len(wanted):
        resolved.hits = list(zip(hit_keys, hits, map(series_of.__getitem__, hit_keys), strict=True))
    else:
        found = zip(hit_keys, hits, map(series_of.get, hit_keys), strict=True)
        resolved.hits = [(key, hit, series) for key, hit, series in found if series is not None]
        resolved.unknown += [hit for key, hit in zip(hit_keys, hits, strict=True) if key not in series_of]
    if events:
        unlisted = {key for key in event_keys if key not in series_of}
        known = await _named(connection, changes, prepared, events, unlisted)
        registered = (known.named.of(name_of(event), told_domain(event)) for event in events if not event.message)
        await held.series([of.key for of in registered if of is not None and not of.provisional])
        resolved.flags |= {key: asked(message.flags) for key, message in known.held.items()}
        _place(resolved, events, series_of, known)
        resolved.made = known.made
        await _antedate(connection, changes, resolved, known.held)
    return resolved


async def _sources(connection: Connection, resolved: Resolved, hits: list[Hit]) -> None:
    known = await anonymous_sources.find(connection, ((hit.workspace, hit.message) for hit in hits))
    resolved.providers = {key: source.provider for key, source in known.items()}
    for hit in hits:
        key = (hit.workspace, hit.message)
        if key in known:
            resolved.anonymous.append((key, hit, known[key].series))
        else:
            resolved.unknown.append(hit)


@dataclass
class _Known:
    named: Named
    held: dict[Key, LockedMessage]
    made: int


async def _named(
    connection: Connection, changes: Changes, prepared: Prepared, events: list[Event], unlisted: set[Key]
) -> _Known:
    told = {(name_of(event), told_domain(event)) for event in events if not event.message}
    found = await messages.find_named(connection, (name for name, _ in told))
    unlisted |= set(found.provisional.values())
    held = await messages.hold_unregistered(connection, unlisted)
    gone = {name for name, key in found.provisional.items() if key not in held}
    if gone:
        # Registered meanwhile: another transaction has just moved what was counted of them.
        found.update(await messages.find_named(connection, gone))
        found.forget([name for name, key in found.provisional.items() if key not in held])
    names = {name for name, domain in told if found.of(name, domain) is None}
    drafts = {name: prepared.drafts[name] for name in names if name in prepared.drafts}
    made = await provisional.make(
        connection, list(drafts.values()), prepared.series, changes.horizon, changes.cohorts, changes.said
    )
    for name, draft in drafts.items():
        key = (draft.workspace, draft.message)
        found.add(name, Found(key, made[key].series, made[key].flags))
    return _Known(found, held | made, len(made))


def _place(resolved: Resolved, events: list[Event], series_of: dict[Key, int], known: _Known) -> None:
    for event in events:
        if event.message:
            key = (event.workspace, event.message)
            series = series_of.get(key)
            if series is None and key in known.held:
                series = known.held[key].series
        else:
            of = known.named.of(name_of(event), told_domain(event))
            key, series = (of.key, of.series) if of is not None else ((0, b""), None)
        if series is None:
            resolved.unknown.append(event)
        else:
            resolved.events.append((key, event, series))


async def _antedate(
    connection: Connection, changes: Changes, resolved: Resolved, held: dict[Key, LockedMessage]
) -> None:
    if not held:
        return
    earliest: dict[Key, int] = {}
    for key, event, _ in resolved.events:
        if key in held:
            at = changes.horizon.place(event.at, event.received)
            earliest[key] = min(at, earliest.get(key, at))
    await provisional.antedate(connection, held, earliest, changes.cohorts)
