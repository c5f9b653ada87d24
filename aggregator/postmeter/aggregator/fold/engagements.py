"""First engagements: what is new about messages, told from what was known of them, without asking Postgres."""

from __future__ import annotations

from dataclasses import dataclass, field

from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.effects import UNIQUES
from postmeter.aggregator.fold.moments import NEVER
from postmeter.aggregator.fold.states import Key, Known
from postmeter.shared.stream.events import Engagement

CLICKS = 32
"""Of a message that are remembered; of one that has more the history is asked."""


@dataclass
class Engagements:
    """What is to be written: new rows (workspace, message, kind, at, series), and rows that become earlier.

    alone: messages on which a click is the first that is known of anybody, and that were not delivered just before it
    (ADR 0023). remembered: how many clicks have been added to what is known of messages.
    """

    new: list[tuple[int, bytes, int, int, int]] = field(default_factory=list)
    earlier: list[tuple[int, bytes, int, int]] = field(default_factory=list)
    alone: set[Key] = field(default_factory=set)
    remembered: int = 0


def fold(changes: Changes, states: dict[Key, Known], early: int) -> Engagements:
    """Compare the first engagements in `changes` with `states`, which become what holds; count what is unique.

    early: microseconds after its delivery in which a message's clicks are looked at as a machine's.
    """
    found = Engagements()
    for kind, first in changes.first.items():
        new, counter, is_click = found.new.append, UNIQUES[kind], kind is Engagement.CLICK
        for key, (at, series) in first.items():
            known = states[key]
            was = None if known.first is None else known.first[kind]
            if was is None:
                if is_click and known.series is not None:
                    known.clicks = []
                new((*key, kind, at, series))
            elif at < was:
                found.earlier.append((*key, kind, at))
            else:
                continue
            known.engage(kind, at)
            if at == NEVER:
                continue
            changes.count(key[0], at, series, counter)
            if was is not None and was != NEVER:
                changes.count(key[0], was, series, counter, -1)
            elif known.sent_at is not None and kind is not Engagement.UNSUBSCRIBE:
                changes.cohorts.engage(key[0], known.sent_at, series, kind, 1)
            if was is None and is_click and not _is_early(at, known.delivered_at, early):
                found.alone.add(key)
    found.remembered = _remember_clicks(changes, states)
    return found


def _remember_clicks(changes: Changes, states: dict[Key, Known]) -> int:
    """What is known of clicks when those of `changes` are stored; of messages on which nobody had clicked, all.

    Returns how many were added.
    """
    added = 0
    for key in changes.first[Engagement.CLICK]:
        known, new = states[key], changes.clicks.get(key, ())
        if key in changes.unclear or known.clicks is None or len(known.clicks) + len(new) > CLICKS:
            known.clicks = None
        else:
            known.clicks += new
            added += len(new)
    return added


def _is_early(at: int, delivered_at: int | None, early: int) -> bool:
    return delivered_at is not None and delivered_at <= at <= delivered_at + early
