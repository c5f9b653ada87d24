"""What became of a purchase: the aggregator says it in Redis, tracking-service waits for it there (ADR 0022)."""

from __future__ import annotations

import msgspec

KEPT_SECONDS = 60
"""How long an answer can be read. It never changes, so a late reader reads the same."""


class Attribution(msgspec.Struct, frozen=True):
    """campaign: the one that the purchase is attributed to, or None. digest: of the purchase that was stored first
    under this event id; another one is a conflict.
    """

    campaign: str | None
    digest: bytes


_decoder = msgspec.json.Decoder(Attribution)


def encode(answer: Attribution) -> bytes:
    """The key's value."""
    return msgspec.json.encode(answer)


def decode(value: bytes | str) -> Attribution:
    """The answer in a key's value."""
    return _decoder.decode(value)
