"""Server-sent events as they go out, each with its id, from which a reader that reconnects goes on.

An event's id is that of its entry in the workspace's stream, `1764385200123-0`. The counters' is that of the last event
before them and the millisecond, `1764385200123-0.1764385205004`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from postmeter.shared.stream.events import BounceType, EventType, Verdict
from postmeter.shared.stream.live_events import LiveEvent
from postmeter.shared.text.stamps import stamp

Position = tuple[int, int]
_ID = re.compile(r"([0-9]{1,15})-([0-9]{1,10})(?:\.[0-9]{1,15})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RETRY = b"retry: 2000\n\n"
HEARTBEAT = b": nothing to tell now\n\n"
"""A comment: that the connection is alive."""


def position(text: str | bytes) -> Position | None:
    """Where an id stands; None: it is not one of ours."""
    match = _ID.fullmatch(text.decode() if isinstance(text, bytes) else text)
    return None if match is None else (int(match.group(1)), int(match.group(2)))


def written(at: Position) -> str:
    """A position as Redis writes it."""
    return f"{at[0]}-{at[1]}"


def frame(event: str, at: Position, data: Any, millisecond: int | None = None) -> bytes:
    """One event. millisecond: of counters, since 1970."""
    mark = "" if millisecond is None else f".{millisecond}"
    return f"id: {written(at)}{mark}\nevent: {event}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()


def event(at: Position, one: LiveEvent, series: tuple[str, str]) -> bytes:
    """What was counted. series: its campaign and domain."""
    campaign, domain = series
    data = {
        "type": EventType(one.type).name.lower(),
        "at": stamp(_EPOCH + timedelta(microseconds=one.at)),
        "message_id": one.message,
        "campaign": campaign or None,
        "domain": domain or None,
        "verdict": None if one.verdict is None else Verdict(one.verdict).name.lower(),
        "verdict_reason": one.verdict_reason,
        "bounce_type": None if not one.bounce else BounceType(one.bounce).name.lower(),
        "reason": one.reason,
        "url": one.url,
        "user_agent": one.user_agent,
        "counted": one.counted,
    }
    return frame("event", at, data)


def gap(at: Position, since: str) -> bytes:
    """Events behind the id `since` are missing; what follows has none missing."""
    message = "Events are missing here: they are not kept for so long, or came too fast. The history has them."
    return frame("gap", at, {"since": since[:50], "message": message})
