"""What a hit says about its client, made fit for storing."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(65536)
def user_agent(raw: bytes) -> str | None:
    """The header's text; bytes that are no UTF-8 become U+FFFD, NULs go. None when there is none."""
    return raw.decode("utf-8", "replace").replace("\0", "") or None


@lru_cache(65536)
def network(ip: str) -> str | None:
    """The address without its host part: IPv4 keeps 24 bits, IPv6 48. None for what is no address.

    An IPv4 address inside IPv6 (::ffff:192.0.2.1) counts as IPv4.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.IPv6Address(int(address) >> 80 << 80))
        address = address.ipv4_mapped
    return str(ipaddress.IPv4Address(int(address) >> 8 << 8))
