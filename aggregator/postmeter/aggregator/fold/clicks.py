"""A flush's clicks, judged before any is written if all clicks of their messages are remembered (ADR 0065)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter

from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.moments import NEVER
from postmeter.aggregator.fold.states import Key, Known, is_full
from postmeter.aggregator.verdicts import company
from postmeter.aggregator.verdicts.company import Click
from postmeter.shared.storage.thresholds import Thresholds
from postmeter.shared.stream.events import Engagement

MOST = 32
"""Clicks of a message that are remembered; of one that has more the history is asked."""
Judged = dict[tuple[int, str | None, str | None], str | None]
"""Clicks of a message by (time, user agent, reason until now): the reason from now on. Null: a person's."""
_AT = attrgetter("at")


@dataclass
class Settled:
    """What became of a flush's clicks.

    messages: those whose clicks are judged. corrected: of these, those with clicks that are something else than before;
    their first clicks in `changes` are what holds now, also where an earlier one was known. older: what is to be
    corrected in the history, by message. remembered: how many clicks have been added to what is known of messages.
    """

    messages: set[Key] = field(default_factory=set)
    corrected: set[Key] = field(default_factory=set)
    older: dict[Key, Judged] = field(default_factory=dict)
    remembered: int = 0


def settle(changes: Changes, states: dict[Key, Known]) -> Settled:
    """Judge what can be judged by what is remembered; `changes` and `states` become what holds. Before first
    engagements are folded.
    """
    settled = Settled()
    of_click, oldest, thresholds = Engagement.CLICK, changes.horizon.oldest["event"], cache(changes.thresholds)
    for key, (_, series) in list(changes.first[of_click].items()):
        known, new = states[key], changes.clicks.get(key, [])
        if known.series is not None and (known.first is None or known.first[of_click] is None):
            known.clicks = []
        if key in changes.unclear or known.clicks is None or len(known.clicks) + len(new) > MOST:
            known.clicks = None
            continue
        older, known.clicks = known.clicks, known.clicks + new
        settled.remembered += len(new)
        if known.links is None or not is_full(known.flags) or key[0] in changes.said:
            continue
        settled.messages.add(key)
        said = thresholds(key[0])
        if company.may_decide(known.clicks, known.links, said) or said.early_seconds:
            found = _judged(known, stretches(new, said, oldest), said)
            if found:
                _correct(changes, settled, key, older, found)
                known.clicks = corrected(known.clicks, found)
                first = min((one.at for one in known.clicks if one.reason is None), default=NEVER)
                changes.first[Engagement.CLICK][key] = (first, series)
                settled.corrected.add(key)
    return settled


def stretches(clicks: Iterable[Click], said: Thresholds, oldest: int) -> Iterator[tuple[int, int]]:
    """(from, to) around new clicks of a message that may decide about others, or others about them."""
    around = company.reach(said)
    times = sorted([click.at for click in clicks if click.at >= oldest])
    if not times or not (around or said.early_seconds):
        return
    low = 0
    for at, following in zip(times, [*times[1:], NEVER], strict=True):
        low = low or at
        if following - at > 2 * around:
            yield max(low - around, oldest), at + around
            low = 0


def add(found: Judged, clicks: list[Click], links: int, delivered_at: int | None, said: Thresholds) -> None:
    """Judge clicks near each other, in the order of time; only what is something else than before is added.

    Two stretches of a message may meet; neither need have seen all that the other has.
    """
    for click, reason in company.changed(clicks, company.judged(clicks, links, delivered_at, said)):
        place = (click.at, click.agent, click.reason)
        if place not in found or company.RANK[reason] > company.RANK[found[place]]:
            found[place] = reason


def corrected(clicks: list[Click], found: Judged) -> list[Click]:
    """These with what they were found to be."""
    return [
        one._replace(reason=found[place]) if (place := (one.at, one.agent, one.reason)) in found else one
        for one in clicks
    ]


def _judged(known: Known, around: Iterable[tuple[int, int]], said: Thresholds) -> Judged:
    assert known.clicks is not None
    assert known.links is not None
    found: Judged = {}
    for low, high in around:
        near = sorted([one for one in known.clicks if low <= one.at <= high], key=_AT)
        add(found, near, known.links, known.delivered_at, said)
    return found


def _correct(changes: Changes, settled: Settled, key: Key, older: list[Click], found: Judged) -> None:
    """Those of this flush in `changes`; what was written before is to be corrected there."""
    written = {(one.at, one.agent, one.reason) for one in older}
    for place, reason in found.items():
        at, agent, was = place
        if was is None and reason is not None:
            changes.convict(key, at, agent, reason)
        if place in written:
            settled.older.setdefault(key, {})[place] = reason
