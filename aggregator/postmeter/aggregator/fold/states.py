"""What is known of messages before a fold, and holds after it."""

from __future__ import annotations

from dataclasses import dataclass

from postmeter.shared.stream.events import Engagement

Key = tuple[int, bytes]
"""(workspace, the message's 16 bytes)"""
FORGOTTEN = -1
"""The era of what does not hold any more."""


@dataclass(slots=True)
class Known:
    """A message as it is committed; whoever holds its slot changes it in place to what it will be.

    series: None where nobody has registered it, and it is not to be remembered. slot, era: whose it is, and since when
    that is believed (store/memory.py). first: by Engagement, when it had its first one, None: it had none of that kind
    (place 0 is not used); None: it had none at all.
    """

    series: int | None
    sent_at: int | None
    delivered_at: int | None
    slot: int
    era: int = FORGOTTEN
    first: list[int | None] | None = None

    def engage(self, kind: Engagement, at: int) -> None:
        """Its first engagement of the kind was then."""
        if self.first is None:
            self.first = [None] * _KINDS
        self.first[kind] = at


_KINDS = max(Engagement) + 1
