"""What is known of messages before a fold, and holds after it."""

from __future__ import annotations

from enum import IntFlag

import msgspec

from postmeter.aggregator.verdicts.company import Click
from postmeter.shared.privacy.levels import LEVEL_BITS, SEEN, Ceilings, of_flags
from postmeter.shared.stream.events import Engagement

Key = tuple[int, bytes]
"""(workspace, the message's 16 bytes)"""
FORGOTTEN = -1
"""The era of what does not hold any more."""


class Flag(IntFlag):
    """What `message.flags` says: it carries our pixel, our links; only a webhook told of it; a confined key registered
    it; it was erased (ADR 0060). Bits 4 to 9 are its levels (postmeter.shared.privacy.levels).
    """

    TRACKS_OPENS = 1
    TRACKS_CLICKS = 2
    PROVISIONAL = 4
    CONFINED = 8
    ERASED = 1024
    OF_REGISTRATION = TRACKS_OPENS | TRACKS_CLICKS | PROVISIONAL | CONFINED
    """What it is from the beginning, and stays."""


PLAIN = int(Flag.TRACKS_OPENS)
"""What counting asks of a message's flags, as it is of most: it carries our pixel, and is tracked in full."""
ERASED = int(Flag.ERASED)
_ASKED = int(PLAIN | LEVEL_BITS | ERASED)


def asked(flags: int) -> int:
    """Those of a message's flags that counting asks for."""
    return flags & _ASKED


def is_full(flags: int) -> bool:
    """Whether everything is kept of the message, for all that it says itself."""
    return not flags & _ASKED & ~PLAIN


def is_seen(flags: int, ceilings: Ceilings | None) -> bool:
    """Whether it would be known of the message that it was opened. ceilings: what its workspace has said."""
    levels = of_flags(flags) if ceilings is None else of_flags(flags).at_most(ceilings.workspace)
    return bool(flags & Flag.TRACKS_OPENS) and levels.opens in SEEN


class Known(msgspec.Struct):
    """A message as it is committed; whoever holds its slot changes it in place to what it will be.

    series: None where nobody has registered it, and it is not to be remembered. slot, era: whose it is, and since when
    that is believed (store/memory.py). flags: those that counting asks for. first: by Engagement, when it had its first
    one, None: it had none of that kind (place 0 is not used); None: it had none at all. links: how many it has, None:
    not known. clicks: all that are judged by their company, as the history has them; None: not known, or too many.
    """

    series: int | None
    sent_at: int | None
    delivered_at: int | None
    slot: int
    era: int = FORGOTTEN
    flags: int = PLAIN
    first: list[int | None] | None = None
    links: int | None = None
    clicks: list[Click] | None = None

    def engage(self, kind: Engagement, at: int) -> None:
        """Its first engagement of the kind was then."""
        if self.first is None:
            self.first = [None] * _KINDS
        self.first[kind] = at


_KINDS = max(Engagement) + 1
