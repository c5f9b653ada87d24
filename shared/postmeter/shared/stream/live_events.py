"""Events on their way from the aggregator to those who look on (ADR 0041): a Redis stream for each workspace watched.

Where nobody has looked for WATCH_SECONDS, the aggregator adds nothing more. The stream is gone before that,
KEPT_SECONDS after the last look: so while there is a stream, every event is in it, or was the last KEPT ones before.
"""

from __future__ import annotations

import msgspec

KEPT = 5_000
KEPT_SECONDS = 60
WATCH_SECONDS = 90
EVENT = b"e"
"""A stream entry's field: JSON of a LiveEvent."""
SKIPPED = b"s"
"""Or: how many events of one flush were left out here, for there were too many at once."""
START = b"m"
"""Or: the stream begins."""


class LiveEvent(msgspec.Struct, array_like=True, frozen=True):
    """One row of the history as it was counted; numbers as in events.py. at: microseconds since 1970 UTC."""

    at: int
    type: int
    message: str | None
    series: int
    bounce: int | None
    verdict: int | None
    verdict_reason: str | None
    reason: str | None
    url: str | None
    user_agent: str | None
    counted: bool
