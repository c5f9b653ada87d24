"""What is kept of what was erased, so that it does not come back: digests, useless without the thing itself."""

from __future__ import annotations

import hashlib

KEPT_DAYS = 40
"""Longer than anything waits on its way: events without their message 30 days, retries of providers and spools less."""


def of_recipient(workspace: int, to_hash: str) -> bytes:
    """The digest of a recipient of a workspace."""
    return _digest("recipient", workspace, to_hash)


def of_name(workspace: int, provider: str, name: str) -> bytes:
    """The digest of what a provider calls a message."""
    return _digest("name", workspace, provider, name)


def _digest(*parts: str | int) -> bytes:
    text = "\0".join(map(str, parts))
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"postmeter-erased").digest()
