"""Networks that machines fetch from, as data: names and CIDR blocks."""

from __future__ import annotations

import socket
from bisect import bisect_right
from functools import lru_cache
from importlib import resources
from ipaddress import IPv6Address, IPv6Network, ip_network

from postmeter.shared.errors import PostmeterError

GOOGLE = "google"
SHIPPED = "networks.txt"
MAX_BLOCKS = 200_000
_MAPPED = int(IPv6Address("::ffff:0:0"))
"""Every address is looked up as IPv6: IPv4 stands in this block."""
_MAPPED_PREFIX = _MAPPED.to_bytes(16, "big")[:12]


class NetworksError(PostmeterError, ValueError):
    """A list of networks that cannot be used; the message names the line."""


class Networks:
    """Finds the network of an address. Blocks may lie inside each other: the smallest one counts."""

    def __init__(self, blocks: list[tuple[int, int, str]]) -> None:
        edges = sorted({edge for low, high, _ in blocks for edge in (low, high + 1)})
        names: list[str | None] = [None] * len(edges)
        for low, high, name in sorted(blocks, key=lambda block: block[0] - block[1]):
            first, last = bisect_right(edges, low) - 1, bisect_right(edges, high)
            names[first:last] = [name] * (last - first)
        # The edge behind the last address of all sorts behind it; the first one, before all addresses, has no name.
        self._edges = [b"", *(edge.to_bytes(16, "big") if edge >> 128 == 0 else b"\xff" * 17 for edge in edges)]
        self._names = [None, *names]
        self._of_other = lru_cache(4096)(self._of_6)

    def of(self, ip: str) -> str | None:
        """The name of an address' network, or None; None too for what is not an address."""
        try:
            # Most addresses are IPv4 and new, and `ipaddress` takes four times as long as all of this.
            packed = _MAPPED_PREFIX + socket.inet_pton(socket.AF_INET, ip)
        except (OSError, ValueError):
            return self._of_other(ip)
        return self._names[bisect_right(self._edges, packed) - 1]

    @classmethod
    def read(cls, text: str) -> Networks:
        """Read a list: each line a name and its blocks; `#` begins a comment. Raises NetworksError."""
        blocks: list[tuple[int, int, str]] = []
        for number, line in enumerate(text.splitlines(), 1):
            name, *cidrs = line.partition("#")[0].split() or [""]
            for cidr in cidrs:
                try:
                    blocks.append((*_bounds(cidr), name))
                except ValueError as error:
                    raise NetworksError(f"line {number}: {error}") from None
        if len(blocks) > MAX_BLOCKS:
            raise NetworksError(f"more than {MAX_BLOCKS} blocks")
        return cls(blocks)

    @classmethod
    def shipped(cls) -> Networks:
        """Those that come with Postmeter."""
        return cls.read(resources.files(__package__).joinpath(SHIPPED).read_text())

    def _of_6(self, ip: str) -> str | None:
        try:
            return self._at(IPv6Address(ip).packed)
        except ValueError:
            return None

    def _at(self, packed: bytes) -> str | None:
        return self._names[bisect_right(self._edges, packed) - 1]


def _bounds(cidr: str) -> tuple[int, int]:
    network = ip_network(cidr)
    low, high = int(network.network_address), int(network.broadcast_address)
    return (low, high) if isinstance(network, IPv6Network) else (_MAPPED + low, _MAPPED + high)
