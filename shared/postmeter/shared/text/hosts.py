"""IP addresses in other people's text, and what may be kept of them."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from functools import lru_cache

# Whole words in which an address may stand, with a name before it or a port behind.
_WORD = re.compile(r"[0-9A-Za-z:.]++")

_LONGEST = 45
"""Characters of an IP address."""


def network(ip: str) -> str | None:
    """The address without its host part: IPv4 keeps 24 bits, IPv6 48. None for what is not an address.

    An IPv4 address inside IPv6 (::ffff:192.0.2.1) counts as IPv4.
    """
    try:
        # Nearly every address is IPv4, and `ipaddress` takes ten times as long to say so.
        socket.inet_pton(socket.AF_INET, ip)
    except (OSError, ValueError):
        return network_6(ip)
    return ip[: ip.rindex(".")] + ".0"


def no_network(_: str) -> None:
    """`network` where nothing of addresses is to be kept."""


def without_hosts(raw: bytes, keep: Callable[[str], str | None]) -> bytes:
    """The bytes with what `keep` leaves of each IP address that stands in them, in whatever format they are."""

    def is_address(text: str) -> bool:
        # What is too long for one is not looked up: it would be remembered.
        return len(text) <= _LONGEST and network(text) is not None

    def kept(word: re.Match[str]) -> str:
        text = word.group()
        if text.count(".") < 3 and text.count(":") < 2:
            return text
        for bare in (text, text.rstrip("."), text.rstrip(".").removesuffix(":")):
            if is_address(bare):
                return (keep(bare) or "") + text[len(bare) :]
        return ":".join(
            (keep(part) or "") + piece[len(part) :] if is_address(part := piece.rstrip(".")) else piece
            for piece in text.split(":")
        )

    return _WORD.sub(kept, raw.decode("latin-1")).encode("latin-1")


@lru_cache(16384)
def network_6(ip: str) -> str | None:
    """`network` of what is not an IPv4 address."""
    try:
        address = ipaddress.IPv6Address(ip)
    except ValueError:
        return None
    if address.ipv4_mapped is not None:
        return network(str(address.ipv4_mapped))
    return str(ipaddress.IPv6Address(int(address) >> 80 << 80))
