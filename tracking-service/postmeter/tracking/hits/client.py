"""Who asks: the client's address behind proxies, and whether a machine fetched ahead of its user."""

from __future__ import annotations

from aiohttp import web

from postmeter.shared.auth.sealed import Seals
from postmeter.shared.errors import RequestError
from postmeter.shared.http import client_address
from postmeter.shared.http.client_address import HEADER, Client
from postmeter.shared.http.trusted_hops import TrustedHops

USER_AGENT_BYTES = 512
# Headers by which browsers and mail clients say that nobody is looking yet (hostile-input.md 24).
PREFETCH_HEADERS = frozenset({b"purpose", b"sec-purpose", b"x-purpose", b"x-moz"})


ADDRESS_HEADERS = (HEADER.lower().encode(), b"x-forwarded-for", b"forwarded")
"""In the order that Clients.address takes them."""


def is_prefetch(value: bytes) -> bool:
    """Whether the value of one of PREFETCH_HEADERS tells a prefetch or preview."""
    lowered = value.lower()
    return b"prefetch" in lowered or b"preview" in lowered


class Clients:
    """Who asks, of a request's own headers. `always`: whether also a request without any of them is looked at."""

    def __init__(self, seals: Seals, hops: TrustedHops) -> None:
        self._seals = seals
        self._hops = hops
        self._count = hops.hops
        self.always = hops.hops > 0

    def address(
        self, peer: str, method: str, target: str, vouched: bytes, x_forwarded_for: bytes, forwarded: bytes
    ) -> str:
        """The client's address. What the gateway vouches for is the client; a seal that does not fit is not there."""
        if vouched:
            headers = {HEADER: vouched.decode("latin-1")}
            try:
                return self._seals.open(HEADER, Client, headers, method, target, repeatable=True).address
            except RequestError:
                pass
        # Not by its own method: one call fewer for each hit.
        found, doubt = client_address.address(peer, x_forwarded_for, forwarded, self._count)
        if doubt is not None:
            self._hops.note(peer, doubt)
        return found

    def of(self, request: web.BaseRequest) -> str:
        """The client's address of a request that aiohttp has read."""
        given = dict.fromkeys(ADDRESS_HEADERS, b"")
        for name, value in request.raw_headers:
            if (lowered := name.lower()) in given:
                given[lowered] = join(given[lowered], value)
        return self.address(request.remote or "", request.method, request.raw_path, *given.values())


def join(before: bytes, value: bytes) -> bytes:
    """Several headers of one name are one list."""
    return before + b"," + value if before else value
