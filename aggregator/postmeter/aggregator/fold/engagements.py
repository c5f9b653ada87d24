"""First engagements: what is new about messages, worked out from what was known of them, without asking Postgres."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.deltas import counts_of
from postmeter.aggregator.fold.effects import BUCKET, UNIQUES
from postmeter.aggregator.fold.moments import NEVER, UNTIL_2000
from postmeter.aggregator.fold.rows import ENGAGEMENT_ROW
from postmeter.aggregator.fold.states import Key, Known
from postmeter.shared.storage.rollups import COUNTERS
from postmeter.shared.stream.events import Engagement


@dataclass
class Engagements:
    """What is to be written: new rows, packed (`rows`), in the order of their keys, and (workspace, message, kind, at)
    of rows that move, nearly always to an earlier time.

    alone: messages on which a click is the first that is known of anybody, and that were not delivered just before it
    (ADR 0023).
    """

    new: list[bytes] = field(default_factory=list)
    moved: list[tuple[int, bytes, int, int]] = field(default_factory=list)
    alone: set[Key] = field(default_factory=set)


def fold(changes: Changes, states: dict[Key, Known], early: int, corrected: Collection[Key] = ()) -> Engagements:
    """Compare the first engagements in `changes` with `states`, which become what holds; count what is unique.

    early: microseconds after its delivery in which a message's clicks are looked at as a machine's. corrected: messages
    whose first click in `changes` is what holds, even where an earlier one was known.
    """
    found = Engagements()
    row_of, pack, width, since = changes.activity.get, ENGAGEMENT_ROW.pack, BUCKET, UNTIL_2000
    for kind, first in changes.first.items():
        new, counter, is_click = found.new.append, UNIQUES[kind], kind is Engagement.CLICK
        has_cohort = kind is not Engagement.UNSUBSCRIBE
        for key, (at, series) in first.items():
            known = states[key]
            engaged = known.first
            was = None if engaged is None else engaged[kind]
            workspace, message = key
            has, had = at != NEVER, False
            if was is None:
                new(pack(5, 4, workspace, 16, message, 2, kind, 8, at - since, 8, series))
                if is_click and has and not _is_early(at, known.delivered_at, early):
                    found.alone.add(key)
            elif at < was or (is_click and at > was and key in corrected):
                found.moved.append((workspace, message, kind, at))
                had = was != NEVER
                if had:
                    changes.count(workspace, was, series, counter, -1)
            else:
                continue
            if engaged is None:
                known.engage(kind, at)
            else:
                engaged[kind] = at
            if has:
                bucket = (workspace, at - at % width, series)
                row = row_of(bucket) or counts_of(changes.activity, bucket, len(COUNTERS))
                row[counter] += 1
            if has is not had and known.sent_at is not None and has_cohort:
                changes.cohorts.engage(workspace, known.sent_at, series, kind, 1 if has else -1)
    found.new.sort()
    return found


def _is_early(at: int, delivered_at: int | None, early: int) -> bool:
    return delivered_at is not None and delivered_at <= at <= delivered_at + early
