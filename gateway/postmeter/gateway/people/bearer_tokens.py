"""Bearer tokens: that of a session's cookie, or of a one-time link. Only their hashes are kept.

workspace number "." 32 random bytes as base64url
"""

from __future__ import annotations

import hashlib
import re
import secrets

_TOKEN = re.compile(r"([1-9][0-9]{0,9})\.[A-Za-z0-9_-]{43}", re.ASCII)
_MOST = 2**31 - 1


def new(workspace: int) -> tuple[str, bytes]:
    """(token, hash) for a workspace's number."""
    token = f"{workspace}.{secrets.token_urlsafe(32)}"
    return token, _hash(token)


def read(text: str) -> tuple[int, bytes] | None:
    """(workspace number, hash) of a token; None for what cannot be one. Whether it is, only the database knows."""
    match = _TOKEN.fullmatch(text)
    if match is None or int(match[1]) > _MOST:
        return None
    return int(match[1]), _hash(text)


def _hash(token: str) -> bytes:
    # Nobody guesses 32 random bytes, so there is nothing to slow down.
    return hashlib.sha256(token.encode()).digest()
