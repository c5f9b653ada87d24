"""Cohorts: messages in the bucket of their creation under their present state, and in that of their sending.

Each change of a message moves it from where it was counted to where it belongs, so the sum over all buckets is
always the number of messages (semantics.md, "Two ways to count").
"""

from __future__ import annotations

from dataclasses import dataclass, field

from postmeter.aggregator.fold.deltas import Deltas, counts_of
from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.shared.storage.rollups import CREATED, SENT, SENT_COUNTERS, STATE_COUNTERS
from postmeter.shared.stream.events import Engagement, State

CREATED_BUCKET = CREATED.tiers[0].seconds * MICROSECONDS
SENT_BUCKET = SENT.tiers[0].seconds * MICROSECONDS
"""The finest buckets, in microseconds."""

_PLACES = {int(state): STATE_COUNTERS.index(state.name.lower()) for state in State}
_QUEUED = _PLACES[State.QUEUED]
MAILED = SENT_COUNTERS.index("mailed")
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
        bucket = (workspace, created - created % CREATED_BUCKET, series)
        counts_of(self.created, bucket, len(STATE_COUNTERS))[_QUEUED] += 1

    def add(self, workspace: int, created: int, series: int, state: int, n: int) -> None:
        """`n` messages more that were created at that time and are in that state; negative: they are gone."""
        self._created(workspace, created, series)[_PLACES[state]] += n

    def rise(self, workspace: int, created: int, series: int, was: int, state: int, n: int) -> None:
        """`n` messages created at that time have left one state for a higher one (or the same)."""
        if state != was:
            counts = self._created(workspace, created, series)
            counts[_PLACES[was]] -= n
            counts[_PLACES[state]] += n

    def mail(self, workspace: int, was: int | None, sent: int, series: int, n: int) -> None:
        """`n` messages were sent at that time; until now they were thought to be sent at `was`, or not at all."""
        if was is not None:
            self.unmail(workspace, was, series, n)
        self._sent(workspace, sent, series)[MAILED] += n

    def unmail(self, workspace: int, was: int, series: int, n: int) -> None:
        """`n` messages that were sent at that time do not count there any more."""
        self._sent(workspace, was, series)[MAILED] -= n

    def engage(self, workspace: int, sent: int, series: int, kind: Engagement, n: int) -> None:
        """`n` messages sent at that time had their first engagement of this kind; negative: they moved away."""
        self._sent(workspace, sent, series)[ENGAGED[kind]] += n

    def _created(self, workspace: int, at: int, series: int) -> list[int]:
        return counts_of(self.created, (workspace, at - at % CREATED_BUCKET, series), len(STATE_COUNTERS))

    def _sent(self, workspace: int, at: int, series: int) -> list[int]:
        return counts_of(self.sent, (workspace, at - at % SENT_BUCKET, series), len(SENT_COUNTERS))
