"""Networks that machines fetch from, as data: names and CIDR blocks."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache, lru_cache
from importlib import resources
from ipaddress import IPv6Address, IPv6Network, ip_network
from socket import AF_INET, inet_pton

from postmeter.shared.errors import PostmeterError

GOOGLE = "google"
SHIPPED = "networks.txt"
MAX_BLOCKS = 200_000
_MAPPED = int(IPv6Address("::ffff:0:0"))
"""Where IPv4 stands in IPv6."""
_from_bytes, _AF_INET = int.from_bytes, int(AF_INET)


def number_4(ip: str) -> int | None:
    """An IPv4 address as a number; None for anything else."""
    try:
        # Most addresses are IPv4 and new, and `ipaddress` takes ten times as long as this.
        return _from_bytes(inet_pton(_AF_INET, ip), "big")
    except (OSError, ValueError):
        return None


class NetworksError(PostmeterError, ValueError):
    """A list of networks that cannot be used; the message names the line."""


class Networks:
    """Finds the network of an address. Blocks may lie inside each other: the smallest one counts.

    edges_4, names_4: where the network of IPv4 addresses changes, in order, and its name from there on.
    """

    def __init__(self, blocks: list[tuple[int, int, str]]) -> None:
        edges = sorted({edge for low, high, _ in blocks for edge in (low, high + 1)})
        names: list[str | None] = [None] * len(edges)
        for low, high, name in sorted(blocks, key=lambda block: block[0] - block[1]):
            first, last = bisect_right(edges, low) - 1, bisect_right(edges, high)
            names[first:last] = [name] * (last - first)
        self._edges = [-1, *edges]  # what lies before all addresses has none
        self._names = [None, *names]
        of_4 = [edge for edge in edges if _MAPPED <= edge < _MAPPED + 2**32]
        first = bisect_right(self._edges, _MAPPED - 1)
        self.edges_4 = [-1, *(edge - _MAPPED for edge in of_4)]
        self.names_4 = self._names[first - 1 : first + len(of_4)]
        self.of_6 = lru_cache(4096)(self._of_text)

    def of(self, ip: str, number: int | None) -> str | None:
        """The name of an address' network, or None; None too for what is not an address. number: `number_4` of it."""
        return self.of_6(ip) if number is None else self.names_4[bisect_right(self.edges_4, number) - 1]

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
    @cache
    def shipped(cls) -> Networks:
        """Those that come with Postmeter. Read once in a process."""
        return cls.read(resources.files(__package__).joinpath(SHIPPED).read_text())

    def _of_text(self, ip: str) -> str | None:
        try:
            address = int(IPv6Address(ip))
        except ValueError:
            return None
        return self._names[bisect_right(self._edges, address) - 1]


def _bounds(cidr: str) -> tuple[int, int]:
    network = ip_network(cidr)
    low, high = int(network.network_address), int(network.broadcast_address)
    return (low, high) if isinstance(network, IPv6Network) else (_MAPPED + low, _MAPPED + high)
