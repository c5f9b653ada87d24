"""What a hit says about its client, made fit for storing."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(16384)
def user_agent(raw: bytes) -> str | None:
    """The header's text; bytes that are not UTF-8 become U+FFFD, NULs go. None when there is none."""
    return raw.decode("utf-8", "replace").replace("\0", "") or None
