"""Cohorts: messages in the bucket of their creation under their present state, and in that of their sending.

Each change of a message moves it from where it was counted to where it belongs, so the sum over all buckets is
always the number of messages (SEMANTICS.md, "Two ways to count").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from postmeter.aggregator.deltas import Deltas, counts_of
from postmeter.aggregator.moments import MICROSECONDS
from postmeter.shared.events import Engagement, State
from postmeter.shared.rollups import CREATED, SENT, SENT_COUNTERS, STATE_COUNTERS

CREATED_BUCKET = CREATED.tiers[0].seconds * MICROSECONDS
SENT_BUCKET = SENT.tiers[0].seconds * MICROSECONDS
"""The finest buckets, in microseconds."""

ENGAGED = {
    Engagement.OPEN: SENT_COUNTERS.index("opened"),
    Engagement.CLICK: SENT_COUNTERS.index("clicked"),
    Engagement.REPLY: SENT_COUNTERS.index("replied"),
}
"""The counter of a sent message that had this engagement. The others have none."""


@dataclass
class Cohorts:
    """Deltas of CREATED and SENT, by their finest buckets."""

    created: Deltas = field(default_factory=dict)
    sent: Deltas = field(default_factory=dict)

    def register(self, workspace: int, created: int, series: int) -> None:
        """A new message, queued."""
        self._created(workspace, created, series)[_place(State.QUEUED)] += 1

    def move(self, change: asyncpg.Record) -> None:
        """Some messages were changed alike: a row of `raise_states`."""
        workspace, series, n = change["workspace"], change["series"], change["n"]
        if change["state"] != change["was_state"]:
            counts = self._created(workspace, change["created"], series)
            counts[_place(change["was_state"])] -= n
            counts[_place(change["state"])] += n
        if change["sent"] != change["was_sent"]:
            moved = n, change["opened"], change["clicked"], change["replied"]
            if change["was_sent"] is not None:
                _add(self._sent(workspace, change["was_sent"], series), [-count for count in moved])
            _add(self._sent(workspace, change["sent"], series), moved)

    def engage(self, workspace: int, sent: int, series: int, kind: Engagement, n: int) -> None:
        """`n` messages sent at that time had their first engagement of this kind."""
        self._sent(workspace, sent, series)[ENGAGED[kind]] += n

    def _created(self, workspace: int, at: int, series: int) -> list[int]:
        return counts_of(self.created, (workspace, at - at % CREATED_BUCKET, series), len(STATE_COUNTERS))

    def _sent(self, workspace: int, at: int, series: int) -> list[int]:
        return counts_of(self.sent, (workspace, at - at % SENT_BUCKET, series), len(SENT_COUNTERS))


def _place(state: int) -> int:
    return STATE_COUNTERS.index(State(state).name.lower())


def _add(counts: list[int], more: Sequence[int]) -> None:
    for place, n in enumerate(more):
        counts[place] += n
