"""What a hit says about its client, made fit for storing."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache


@lru_cache(16384)
def user_agent(raw: bytes) -> str | None:
    """The header's text; bytes that are no UTF-8 become U+FFFD, NULs go. None when there is none."""
    return raw.decode("utf-8", "replace").replace("\0", "") or None


def network(ip: str) -> str | None:
    """The address without its host part: IPv4 keeps 24 bits, IPv6 48. None for what is no address.

    An IPv4 address inside IPv6 (::ffff:192.0.2.1) counts as IPv4.
    """
    try:
        # Nearly every address is IPv4, and `ipaddress` takes ten times as long to say so.
        socket.inet_pton(socket.AF_INET, ip)
    except (OSError, ValueError):
        return _network_6(ip)
    return ip[: ip.rindex(".")] + ".0"


def no_network(_: str) -> None:
    """Where nothing of addresses is to be kept."""


@lru_cache(16384)
def _network_6(ip: str) -> str | None:
    try:
        address = ipaddress.IPv6Address(ip)
    except ValueError:
        return None
    if address.ipv4_mapped is not None:
        return network(str(address.ipv4_mapped))
    return str(ipaddress.IPv6Address(int(address) >> 80 << 80))
