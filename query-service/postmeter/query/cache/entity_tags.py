"""Entity tags: a client that already has an answer is told so, and not sent it again (RFC 9110, 8.8.3 and 13.1.2)."""

from __future__ import annotations

import hashlib


def of(body: bytes) -> str:
    """The tag of an answer's content. Weak: what differs with each request, Vectis's meta, is not a part of it."""
    return f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def matches(tag: str, if_none_match: str | None) -> bool:
    """Whether a request's If-None-Match names the tag, or any by `*`. Compared weakly."""
    if if_none_match is None:
        return False
    given = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag.removeprefix("W/") in given or given == ["*"]
