"""How many connections a port has, of all clients and of each."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from prometheus_client import Counter

from postmeter.shared.errors import RequestError
from postmeter.shared.http.clients.networks import Network, client_of, read_networks
from postmeter.shared.process.settings import PublicSettings


class Connections:
    """Counts connections. `most`: of all clients; `most_of_one`: of one address, of IPv6 one /64; 0: not bounded.

    free: networks that are not bounded by `most_of_one`, for many clients may stand behind one address of theirs.
    assured: so many of one address are taken however many there are of all.
    """

    def __init__(
        self, most: int, most_of_one: int, free: tuple[Network, ...], refused: Counter, assured: int = 0
    ) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._free = free
        self._assured = assured
        self._refused = refused
        self._of_one: dict[str, int] = {}
        self.open = 0
        self._client = lru_cache(maxsize=4096)(self._name)

    @classmethod
    def of(cls, settings: PublicSettings, refused: Counter) -> Connections:
        """As configured."""
        most_of_one = 0 if settings.trusted_hops else settings.client_connections
        return cls(settings.max_connections, most_of_one, read_networks(settings.unbounded_clients), refused)

    def admit(self, peer: str) -> RequestError | None:
        """Count a connection in, until it is released; what it is to be told where it is one too many."""
        self.open += 1
        client = self._client(peer)
        count = self._of_one[client] = self._of_one.get(client, 0) + 1
        if self.open > self._most and count > self._assured:
            self._refused.labels("all").inc()
            message = "This server has as many connections as it takes."
            return RequestError(503, "TOO_MANY_CONNECTIONS", message, None, {"Retry-After": "1"})
        if client and 0 < self._most_of_one < count:
            self._refused.labels("client").inc()
            message = f"One address may have {self._most_of_one} connections at once."
            return RequestError(429, "TOO_MANY_CONNECTIONS", message, None, {"Retry-After": "1"})
        return None

    def release(self, peer: str) -> None:
        """Count out a connection that was counted in, refused or not."""
        self.open -= 1
        client = self._client(peer)
        left = self._of_one[client] - 1
        if left:
            self._of_one[client] = left
        else:
            del self._of_one[client]

    def _name(self, peer: str) -> str:
        """What connections are counted under; empty for those that are not bounded."""
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return ""
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        if any(address in network for network in self._free):
            return ""
        return client_of(address)
