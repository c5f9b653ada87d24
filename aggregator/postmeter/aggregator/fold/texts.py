"""What a hit says about its client, made fit for storing."""

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


@lru_cache(16384)
def user_agent(raw: bytes) -> str | None:
    """The header's text; bytes that are not UTF-8 become U+FFFD, NULs go. None when there is none."""
    return raw.decode("utf-8", "replace").replace("\0", "") or None


def network(ip: str) -> str | None:
    """The address without its host part: IPv4 keeps 24 bits, IPv6 48. None for what is not an address.

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


def stored_network(ip: str, number: int | None) -> tuple[int | None, str | None]:
    """What `network` keeps, as it is stored: the 24 bits of an IPv4 address as a number, anything else as its text.

    number: `number_4` of it.
    """
    return (None, _network_6(ip)) if number is None else (number >> 8, None)


def no_stored_network(_: str, __: int | None) -> tuple[None, None]:
    """The same where nothing of addresses is to be kept."""
    return None, None


def without_hosts(raw: bytes, keep: Callable[[str], str | None]) -> bytes:
    """The bytes with what `keep` leaves of each IP address that stands in them, in whatever format they are."""

    def kept(word: re.Match[str]) -> str:
        text = word.group()
        if text.count(".") < 3 and text.count(":") < 2:
            return text
        for bare in (text, text.rstrip("."), text.rstrip(".").removesuffix(":")):
            if len(bare) <= _LONGEST and network(bare) is not None:
                return (keep(bare) or "") + text[len(bare) :]
        return ":".join(
            (keep(part) or "") + piece[len(part) :] if network(part := piece.rstrip(".")) is not None else piece
            for piece in text.split(":")
        )

    return _WORD.sub(kept, raw.decode("latin-1")).encode("latin-1")


@lru_cache(16384)
def _network_6(ip: str) -> str | None:
    try:
        address = ipaddress.IPv6Address(ip)
    except ValueError:
        return None
    if address.ipv4_mapped is not None:
        return network(str(address.ipv4_mapped))
    return str(ipaddress.IPv6Address(int(address) >> 80 << 80))
