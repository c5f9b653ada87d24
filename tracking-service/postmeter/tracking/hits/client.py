"""Who asks: the client's address behind proxies."""

from __future__ import annotations

from aiohttp import web

from postmeter.shared.auth.sealed import Seals
from postmeter.shared.errors import RequestError
from postmeter.shared.http.clients import client_address
from postmeter.shared.http.clients.client_address import HEADER, Client
from postmeter.shared.http.clients.trusted_hops import TrustedHops

ADDRESS_HEADERS = (HEADER.lower().encode(), *client_address.CLAIMS)
"""In the order that Clients.address takes them."""


class Clients:
    """Who asks, by a request's own headers. `always`: whether requests without any of them are looked at, too."""

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
        given = client_address.lists(request, ADDRESS_HEADERS)
        return self.address(request.remote or "", request.method, request.raw_path, *given)
