"""What an email provider is here, what it brings to us, and what that says in our words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import PostmeterError, RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import moments


@dataclass(frozen=True)
class Delivery:
    """body: the raw bytes, which signatures cover. headers: in any case. url: the source's own URL as it was given
    out, never what a Host header says. received: microseconds since 1970.
    """

    body: bytes
    headers: Mapping[str, str]
    url: str
    received: int

    @property
    def now(self) -> float:
        """When it came, in seconds since 1970."""
        return self.received / 1_000_000


@dataclass(frozen=True)
class WebhookSource:
    """Where deliveries come from: one webhook at one provider. options: by name, such as the topics allowed.

    secret: what signs them, or the password in the URL; of the provider's making or of ours.
    """

    id: str
    workspace: int
    provider: str
    secret: Secret
    options: Mapping[str, str]


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


MESSAGE_KEY = "postmeter_id"
"""Metadata, custom argument, variable or tag in which a sender gives a provider our id of a message."""


ID_HEADER = "x-postmeter-id"
"""The mail's header (in lower case) that carries it where a provider reports headers."""


class SecretOrigin(StrEnum):
    """Who makes a source's secret."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True)
class Provider:
    """slug: its name in the webhook's URL. name: its name as a message's provider. secret: who makes the secret.

    verify: raises RequestError 401 for a delivery that is forged, stale or not signed; looks at the raw bytes only.
    items: the events of a verified delivery, each with the bytes that it consists of; raises RequestError 400 for a
    body that is not one of the provider's. read: what one item says, an event per recipient; raises ItemUnreadable.
    reply: answers deliveries that are not events, such as a confirmation of the subscription; None: there are none.
    once: where a signature does not cover the body: (its token, what came with it), so that nobody who has seen a
    token signs something else with it. options: names of what a source must say besides. check: raises RequestError
    for a source that no genuine delivery could fit, such as one whose secret is not a key; asked when it is made.
    password_in_url: the provider's console takes the secret as the URL's password only.
    """

    slug: str
    name: str
    secret: SecretOrigin
    verify: Callable[[Delivery, WebhookSource], Awaitable[None]]
    items: Callable[[Delivery], Sequence[bytes]]
    read: Callable[[bytes], list[Reading]]
    reply: Callable[[Delivery, WebhookSource], Awaitable[bool]] | None = None
    once: Callable[[Delivery], tuple[str, bytes]] | None = None
    options: tuple[str, ...] = ()
    check: Callable[[WebhookSource], object] | None = None
    password_in_url: bool = False


def refused(why: str, headers: dict[str, str] | None = None) -> RequestError:
    """The error of a delivery that is not genuine. `why` says what to look at, never what would have been right."""
    return RequestError(401, "WEBHOOK_REFUSED", why, None, headers)
