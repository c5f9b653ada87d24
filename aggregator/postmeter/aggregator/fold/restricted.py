"""Opens and clicks of which less than everything is kept (docs/privacy.md): sorted out, and counted by their level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.effects import ANONYMOUS, BUCKET, HIT_COUNTERS, HIT_ENGAGEMENTS
from postmeter.aggregator.fold.moments import HOUR
from postmeter.aggregator.fold.states import Key, Known
from postmeter.aggregator.verdicts.company import HONEYPOT
from postmeter.shared.privacy.levels import LEVEL_BITS, Ceilings, Level, of_flags
from postmeter.shared.stream.events import EventType, Mark, Verdict
from postmeter.shared.stream.records import MARK_BITS, MARK_MASK, Event, Hit, WaitingEvent, WaitingHit

Told = TypeVar("Told", Hit, Event)
Counted = tuple[Key, Hit, int]
"""(message, hit, series)"""


def split(
    hits: list[Counted], flags: Mapping[Key, int], said: Mapping[int, Ceilings], *, levels: bool
) -> tuple[list[Counted], list[tuple[Counted, Level]]]:
    """(hits of which everything is kept, the others and their levels). flags: of the messages that are not plain.

    levels: links of some hits say one.
    """
    if not (flags or said or levels):
        return hits, []
    full: list[Counted] = []
    less: list[tuple[Counted, Level]] = []
    for one in hits:
        key, hit, _ = one
        of_message = level_of(kind_of(hit), key[0], flags.get(key, 0), said)
        level = Level(min(max(of_message, hit.mark >> MARK_BITS), Level.OFF))
        if level is Level.FULL:
            full.append(one)
        else:
            less.append((one, level))
    return full, less


def whole(
    records: list[Told], said: Mapping[int, Ceilings], known_of: Callable[[Key], Known | None], *, sure: bool
) -> list[Told]:
    """Those of which no less than everything is kept, for all that is known.

    sure: of a message of which nothing is known, where its workspace has said anything, that is not known.
    """
    if not (sure or said or any(isinstance(one, Hit) and one.mark > MARK_MASK for one in records)):
        return records
    found = []
    for one in records:
        if isinstance(one, Hit):
            kind, signed = kind_of(one), one.mark >> MARK_BITS
        else:
            kind, signed = EventType(one.type), 0
        known = known_of((one.workspace, one.message)) if one.message else None
        unclear = sure and known is None and one.workspace in said
        flags = 0 if known is None else known.flags
        if not (signed or flags & LEVEL_BITS or one.workspace in said):
            found.append(one)
            continue
        if kind not in HIT_ENGAGEMENTS or not (
            unclear or max(signed, level_of(kind, one.workspace, flags, said)) > Level.FULL
        ):
            found.append(one)
    return found


def kind_of(hit: Hit) -> EventType:
    """An open, or a click."""
    return EventType.CLICKED if hit.url else EventType.OPENED


def level_of(kind: EventType, workspace: int, flags: int, said: Mapping[int, Ceilings]) -> Level:
    """What may be kept of a message's opens or clicks: the less of what the message and its workspace say."""
    levels = of_flags(flags)
    if (ceilings := said.get(workspace)) is not None:
        levels = levels.at_most(ceilings.workspace)
    return levels.opens if kind is EventType.OPENED else levels.clicks


def add_hit(changes: Changes, one: Counted, level: Level, *, counted: bool = True) -> None:
    """Count what may be counted of it. One that is not `counted`, since its provider's count, is history."""
    key, hit, series = one
    mark = hit.mark & MARK_MASK
    if level is Level.OFF or mark == Mark.HEAD:
        changes.withheld[level] += 1
        return
    kind = kind_of(hit)
    verdict, why = judged(changes, kind, hit)
    if mark == Mark.HONEYPOT:
        verdict, why = Verdict.MACHINE, HONEYPOT
    at = changes.horizon.place(hit.at, changes.horizon.now)
    if level is Level.PSEUDONYMOUS:
        kept = WaitingHit(at - at % HOUR, hit.workspace, hit.message, hit.url, False, b"", "", 0, verdict, why or "")
        if kind is EventType.CLICKED:
            changes.unclear.add(key)
        changes.add_hits([(key, kept, series)], counted=counted, company=False)
    elif counted:
        _count(changes, key, kind, verdict, at, series, hit.url, level)


def add_event(changes: Changes, key: Key, event: Event, series: int, *, counted: bool = True) -> None:
    """Count an event that was told, and of an open or a click what may be counted. counted: as of `add_hit`."""
    kind = EventType(event.type)
    if kind not in HIT_ENGAGEMENTS:
        changes.add_event(key, event, series)
        return
    level = level_of(kind, key[0], changes.flags.get(key, 0), changes.said)
    if level is Level.FULL:
        changes.add_event(key, event, series, counted=counted)
        return
    if level is Level.OFF:
        changes.withheld[level] += 1
        return
    verdict, why = judged(changes, kind, event)
    at = changes.horizon.place(event.at, event.received)
    if level is Level.PSEUDONYMOUS:
        at -= at % HOUR
        given = msgspec.structs.asdict(event) | {
            "at": at, "received": at, "claimed": None, "user_agent": b"", "ip": "", "verdict": int(verdict),
            "verdict_reason": why or "",
        }  # fmt: skip
        changes.add_event(key, WaitingEvent(**given), series, counted=counted, company=False)
    elif counted:
        _count(changes, key, kind, verdict, at, series, event.url, level)


def recount(changes: Changes, key: Key, kind: EventType, row: Mapping[str, Any], level: Level) -> None:
    """Count a row of the history (at, series, verdict, url) of a message whose level has become known now."""
    verdict, at = Verdict(row["verdict"]), row["at"]
    if level is Level.PSEUDONYMOUS:
        at -= at % HOUR
        changes.count(key[0], at, row["series"], HIT_COUNTERS[kind, verdict])
        if verdict is not Verdict.MACHINE:
            changes.engage(HIT_ENGAGEMENTS[kind], key, at, row["series"], company=False)
        if row["url"]:
            changes.relinked[key[0], at - at % BUCKET, row["series"], row["url"], verdict is Verdict.MACHINE] += 1
    elif level is not Level.OFF:
        _count(changes, key, kind, verdict, at, row["series"], row["url"] or "", level)


def judged(changes: Changes, kind: EventType, record: Hit | Event) -> tuple[Verdict, str | None]:
    """Whether a machine did it, from what is dropped afterwards."""
    if isinstance(record, WaitingHit | WaitingEvent):
        return Verdict(record.verdict), record.verdict_reason or None
    prefetch = isinstance(record, Hit) and record.prefetch
    return changes.judge(kind, record.user_agent, prefetch, record.ip)


def _count(
    changes: Changes, key: Key, kind: EventType, verdict: Verdict, at: int, series: int, url: str, level: Level
) -> None:
    """Add to totals, which tell of nobody."""
    changes.count(key[0], at, series, HIT_COUNTERS[kind, verdict])
    if verdict is not Verdict.MACHINE:
        changes.count(key[0], at, series, ANONYMOUS[kind])
        if level is Level.LAST_DATE:
            changes.last_opens[key] = max(at, changes.last_opens.get(key, at))
    if url:
        changes.add_link(key[0], at, series, url, verdict)
