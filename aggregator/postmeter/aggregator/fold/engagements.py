"""First engagements: what is new about messages, worked out from what was known of them, without asking Postgres."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.effects import UNIQUES
from postmeter.aggregator.fold.moments import NEVER
from postmeter.aggregator.fold.states import Key, Known
from postmeter.shared.stream.events import Engagement


@dataclass
class Engagements:
    """What is to be written: new rows (workspace, message, kind, at, series), and rows that
    move, nearly always to an earlier time.

    alone: messages on which a click is the first that is known of anybody, and that were not delivered just before it
    (ADR 0023).
    """

    new: list[tuple[int, bytes, int, int, int]] = field(default_factory=list)
    moved: list[tuple[int, bytes, int, int]] = field(default_factory=list)
    alone: set[Key] = field(default_factory=set)


def fold(changes: Changes, states: dict[Key, Known], early: int, corrected: Collection[Key] = ()) -> Engagements:
    """Compare the first engagements in `changes` with `states`, which become what holds; count what is unique.

    early: microseconds after its delivery in which a message's clicks are looked at as a machine's. corrected: messages
    whose first click in `changes` is what holds, even where an earlier one was known.
    """
    found = Engagements()
    for kind, first in changes.first.items():
        new, counter, is_click = found.new.append, UNIQUES[kind], kind is Engagement.CLICK
        for key, (at, series) in first.items():
            known = states[key]
            was = None if known.first is None else known.first[kind]
            if was is None:
                new((*key, kind, at, series))
                if is_click and at != NEVER and not _is_early(at, known.delivered_at, early):
                    found.alone.add(key)
            elif at < was or (is_click and at > was and key in corrected):
                found.moved.append((*key, kind, at))
            else:
                continue
            known.engage(kind, at)
            if at != NEVER:
                changes.count(key[0], at, series, counter)
            if was is not None and was != NEVER:
                changes.count(key[0], was, series, counter, -1)
            has, had = at != NEVER, was is not None and was != NEVER
            if has is not had and known.sent_at is not None and kind is not Engagement.UNSUBSCRIBE:
                changes.cohorts.engage(key[0], known.sent_at, series, kind, 1 if has else -1)
    return found


def _is_early(at: int, delivered_at: int | None, early: int) -> bool:
    return delivered_at is not None and delivered_at <= at <= delivered_at + early
