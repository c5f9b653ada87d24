"""Nameservers that are asked by UDP only.

An answer by TCP may have 64 KB, which take a tenth of a second to read: whoever owns a recipient's domain could keep
the event loop from answering hits. By UDP it has what a datagram holds that asks for no more (RFC 1035, 4.2.1).
"""

from __future__ import annotations

from typing import Any

import dns.asyncresolver
import dns.message
import dns.nameserver


class Datagrams(dns.nameserver.Do53Nameserver):
    """One nameserver. An answer that is too long for a datagram does not count."""

    async def async_query(self, *args: Any, **options: Any) -> dns.message.Message:
        """Ask. Raises dns.message.Truncated instead of asking again by TCP, and what the network raises."""
        by_tcp = options["max_size"] if "max_size" in options else args[4]
        if by_tcp:
            raise dns.message.Truncated
        return await super().async_query(*args, **options)


def only(through: dns.asyncresolver.Resolver) -> dns.asyncresolver.Resolver:
    """The same resolver, whose nameservers are asked so."""
    through.nameservers = [
        Datagrams(one, through.port) if isinstance(one, str) else Datagrams(one.address, one.port)
        for one in through.nameservers
        if isinstance(one, str | dns.nameserver.Do53Nameserver)
    ]
    return through
