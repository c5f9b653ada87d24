"""Rows that nearly every hit makes, in the binary format of COPY: packed as soon as they are known, they cost half of
what tuples cost that are packed later.

A row is the number of its columns, then each value after its length in bytes. Times are since 2000.
"""

from __future__ import annotations

from struct import Struct

OPEN = ("workspace", "message", "at", "type", "series", "verdict", "user_agent_id", "network")
CLICK = (*OPEN, "link")
"""Columns of an ordinary open and an ordinary click in `event`: all that stands in such a row."""
ENGAGEMENT = ("workspace", "message", "kind", "at", "series")

OPEN_ROW = Struct(">h ii i16s iq ih iq ih ii ii")
CLICK_ROW = Struct(">h ii i16s iq ih iq ih ii ii iq")
ENGAGEMENT_ROW = Struct(">h ii i16s ih iq iq")
_VERDICT = Struct(">h ii i16s iq ih iq i").size


def with_verdict(row: bytes, verdict: int) -> bytes:
    """An ordinary open's or click's row with another verdict, as its reason's number is stored with it."""
    return row[:_VERDICT] + verdict.to_bytes(2, "big") + row[_VERDICT + 2 :]
