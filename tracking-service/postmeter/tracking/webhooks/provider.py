"""What Postmeter knows about one email provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from postmeter.shared.errors import RequestError
from postmeter.tracking.webhooks.delivery import Delivery, WebhookSource
from postmeter.tracking.webhooks.reading import Reading

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
