"""What is known of messages before a fold, and holds after it."""

from __future__ import annotations

from typing import NamedTuple

from postmeter.shared.stream.events import Engagement

Key = tuple[int, bytes]
"""(workspace, the message's 16 bytes)"""
First = tuple[int | None, ...]
"""By Engagement, when a message had its first one; None: it had none. Place 0 is not used."""
NOTHING: First = (None,) * (max(Engagement) + 1)


class Known(NamedTuple):
    """A message as it is committed. series: None where nobody has registered it, and it is not to be remembered."""

    series: int | None
    sent_at: int | None
    delivered_at: int | None
    first: First


ABSENT = Known(None, None, None, NOTHING)
