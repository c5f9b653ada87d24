"""One call of a provider's webhook, as it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from postmeter.shared.auth.secret import Secret


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
