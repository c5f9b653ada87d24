"""Anonymous sources: what a token names that must not name a message (ADR 0059)."""

from __future__ import annotations

import hashlib


def source_of(workspace: int, campaign: str, domain: str, *, confined: bool = False) -> bytes:
    """The 16 bytes of a campaign's source, the same for all its messages; without a campaign, of the domain's mail.

    confined: registered by a key that is confined to its domain: what it says of a campaign is of its domain's.
    """
    told = f"{workspace}\0campaign\0{campaign}" if campaign else f"{workspace}\0domain\0{domain}"
    if confined:
        told = f"{told}\0of\0{domain}"
    return hashlib.blake2b(told.encode(), digest_size=16, person=b"postmeter-anon").digest()
