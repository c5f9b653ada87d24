"""The field's normalised event names and their codes in the stream and in Postgres (semantics.md)."""

from __future__ import annotations

from enum import IntEnum


class EventType(IntEnum):
    """What happened. The lower-cased name is the name in every API; the number is what is stored."""

    QUEUED = 1
    SENDING = 2
    SENT = 3
    DEFERRED = 4
    DELIVERED = 5
    BOUNCED = 6
    FAILED = 7
    COMPLAINED = 8
    UNSUBSCRIBED = 9
    OPENED = 10
    CLICKED = 11
    REPLIED = 12
    RECEIVED = 13
    UNKNOWN = 14
    """A provider's event that we have no name for: kept in the history, its own name as the reason."""


ADDRESSED = frozenset({EventType.BOUNCED, EventType.FAILED, EventType.COMPLAINED, EventType.UNSUBSCRIBED})
"""Types for which providers may name the recipient alone: reports that come late, by another mail, or from a list."""


class BounceType(IntEnum):
    """How final a bounce is."""

    HARD = 1
    SOFT = 2


class Verdict(IntEnum):
    """Who made a hit. The documents count HUMAN and PROXY, never MACHINE."""

    HUMAN = 1
    PROXY = 2
    MACHINE = 3


class State(IntEnum):
    """A message's state; it only rises, whatever the order in which events arrive."""

    QUEUED = 1
    SENDING = 2
    SENT = 3
    SOFT_BOUNCED = 4
    DELIVERED = 5
    FAILED = 6
    HARD_BOUNCED = 7
    COMPLAINED = 8


class Engagement(IntEnum):
    """What a recipient did; a message is unique in each of them once in its life."""

    OPEN = 1
    CLICK = 2
    REPLY = 3
    UNSUBSCRIBE = 4


class Mark(IntEnum):
    """What is known of a click when it is answered, and that makes it a machine's."""

    NONE = 0
    HEAD = 1
    """A HEAD request. Never counted: it is kept in the history, for it is often a scanner's first look."""
    HONEYPOT = 2
    """A click of the hidden link that no person sees."""
