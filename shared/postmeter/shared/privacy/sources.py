"""Anonymous sources: what a token names that must not name a message (ADR 0059)."""

from __future__ import annotations

import hashlib


def source_of(workspace: int, campaign: str, domain: str) -> bytes:
    """The 16 bytes of a campaign's source, the same for all its messages; without a campaign, of the domain's mail."""
    told = f"{workspace}\0campaign\0{campaign}" if campaign else f"{workspace}\0domain\0{domain}"
    return hashlib.blake2b(told.encode(), digest_size=16, person=b"postmeter-anon").digest()
