"""Who made a hit: a person, an image proxy on a person's behalf, or a machine (SEMANTICS.md, PEERS.md)."""

from __future__ import annotations

from postmeter.shared.events import EventType, Verdict

APPLE_MAIL_PRIVACY = b"Mozilla/5.0"
"""The whole user agent of Apple Mail Privacy Protection. Its addresses are also people's: opens only."""

Judgement = tuple[Verdict, str | None]
HUMAN: Judgement = (Verdict.HUMAN, None)
PROXY: Judgement = (Verdict.PROXY, "apple_mpp")
PREFETCH: Judgement = (Verdict.MACHINE, "prefetch")


def judge(kind: EventType, user_agent: bytes, prefetch: bool) -> Judgement:
    """(verdict, named reason or None) of an open or a click."""
    if prefetch:
        return PREFETCH
    if kind is EventType.OPENED and user_agent == APPLE_MAIL_PRIVACY:
        return PROXY
    return HUMAN
