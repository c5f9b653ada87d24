"""What a provider's payload says, in our words."""

from __future__ import annotations

import msgspec

from postmeter.shared.errors import PostmeterError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import moments


class ItemUnreadable(PostmeterError):
    """An item of a delivery that cannot be read; the message says why. The others count."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One event as a provider tells it. Empty text: not told.

    type: UNKNOWN for one that we do not know, `name` being the provider's own word for it. at: microseconds since
    1970; None, and a text that could not be read as a time: when it was received. event_id: the provider's id of the
    event; where it has none, the item's bytes stand for it. message: our id of the message, as the sender gave it to
    the provider. provider_message: the provider's id of it. recipient: the address; only its hash is kept. bounce: of
    BOUNCED only.
    """

    type: EventType
    name: str
    at: moments.At = None
    event_id: str = ""
    message: str = ""
    provider_message: str = ""
    recipient: str = ""
    bounce: BounceType | None = None
    reason: str = ""
    url: str = ""
    user_agent: str = ""
    ip: str = ""
    from_address: str = ""
    subject: str = ""
    campaign: str = ""
    template: str = ""
    tags: tuple[str, ...] = ()
