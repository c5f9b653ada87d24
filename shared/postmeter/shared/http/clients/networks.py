"""Clients' networks: which are not on the internet, and how much of an address stands for one client."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from postmeter.shared.process.setting_types import Takes, is_read_by

Network = IPv4Network | IPv6Network
PRIVATE = "private"
_PRIVATE = tuple(
    map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
                     "::1/128", "fc00::/7", "fe80::/10"))
)  # fmt: skip
_IPV6_SITE = 64
"""Bits of an IPv6 address that one client cannot choose: providers give each at least a /64."""


def read_networks(text: str) -> tuple[Network, ...]:
    """Networks separated by commas; `private` stands for all that are not on the internet. Raises ValueError."""
    found: list[Network] = []
    for word in (part.strip() for part in text.split(",")):
        found += _PRIVATE if word.lower() == PRIVATE else [ip_network(word)]
    return tuple(found)


@lru_cache(maxsize=4096)
def is_private(peer: str) -> bool:
    """Whether an address is not on the internet; what is not an address, such as a Unix socket's, is not either."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return True
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return any(address in network for network in _PRIVATE)


NetworksSetting = Annotated[
    str, Takes("networks such as 192.0.2.0/24,2001:db8::/32, or private", is_read_by(read_networks))
]


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, of IPv6 the /64; what is not an address stays as it is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return client_of(found)


def client_of(address: IPv4Address | IPv6Address) -> str:
    """As `network_of`."""
    address = (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
    return str(address) if address.version == 4 else str(ip_network((address, _IPV6_SITE), strict=False))
