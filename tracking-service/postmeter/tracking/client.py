"""Who asks: the client's address behind proxies, and whether a machine fetched ahead of its user."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

USER_AGENT_BYTES = 512
# Headers by which browsers and mail clients say that nobody is looking yet (ABUSE.md 24).
PREFETCH_HEADERS = frozenset({b"purpose", b"sec-purpose", b"x-purpose", b"x-moz"})


def is_prefetch(value: bytes) -> bool:
    """Whether the value of one of PREFETCH_HEADERS tells a prefetch or preview."""
    lowered = value.lower()
    return b"prefetch" in lowered or b"preview" in lowered


@lru_cache(maxsize=4096)
def address(peer: str, forwarded: bytes, hops: int) -> str:
    """The client's address: `hops` steps back from the peer along X-Forwarded-For (ABUSE.md 22).

    `forwarded` is all such headers joined by commas. Entries before the trusted hops are the client's own
    claim and never looked at; what is no address ends the walk.
    """
    client = peer
    entries = forwarded.split(b",")
    for entry in reversed(entries[-hops:] if hops else []):
        try:
            client = str(ip_address(entry.strip().decode("ascii")))
        except ValueError:
            break
    return client
