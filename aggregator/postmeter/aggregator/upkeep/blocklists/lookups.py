"""One question to one DNSBL zone, and what its answer means (RFC 5782)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, ip_address

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from postmeter.aggregator.upkeep.blocklists.zones import Address

LOOKUP_SECONDS = 5.0
"""For one look-up, all its retries and nameservers included."""
TRY_SECONDS = 2.0
_LISTINGS = IPv4Network("127.0.0.0/8")
_ERRORS = (IPv4Network("127.255.255.0/24"), IPv4Network("127.0.0.1/32"))
"""Answers that say something about the question and not about the IP: the resolver is refused, asks too much, or
the zone's name is misspelt. Spamhaus made the first range common; RFC 5782 (5) leaves 127.0.0.1 to no listing."""


class Result(StrEnum):
    """What a look-up came to: the labels of its metric.

    ERROR: the zone answered, but nothing about the IP. FAILED: no answer that can be used.
    """

    LISTED = "listed"
    NOT_LISTED = "not_listed"
    ERROR = "error"
    FAILED = "failed"


def name_of(address: Address, zone: str) -> dns.name.Name:
    """The name to ask for: octets reversed, for IPv6 nibbles (RFC 5782, 2.1 and 2.4), below the zone."""
    reversed_address = address.reverse_pointer.rsplit(".", 2)[0]
    return dns.name.from_text(f"{reversed_address}.{zone}.")


async def look_up(through: dns.asyncresolver.Resolver, address: Address, zone: str) -> Result:
    """Ask a zone about an address. Takes LOOKUP_SECONDS at most and raises nothing."""
    try:
        answer = await through.resolve(
            name_of(address, zone), "A", raise_on_no_answer=False, search=False, lifetime=LOOKUP_SECONDS
        )
    except dns.resolver.NXDOMAIN:
        return Result.NOT_LISTED
    except (dns.exception.DNSException, OSError):
        return Result.FAILED
    return judge([record.address for record in answer.rrset or ()])


def judge(answers: Iterable[str]) -> Result:
    """What A records say; none: the name is there for something else, and the IP is not listed."""
    found = [IPv4Address(answer) for answer in answers]
    if not found:
        return Result.NOT_LISTED
    # An answer from outside 127.0.0.0/8 is a resolver that invents answers, or a zone that has been sold.
    if any(answer not in _LISTINGS or any(answer in error for error in _ERRORS) for answer in found):
        return Result.ERROR
    return Result.LISTED


TEST_ENTRIES: dict[int, tuple[Address, Address]] = {
    4: (ip_address("127.0.0.2"), ip_address("127.0.0.1")),
    6: (ip_address("::ffff:127.0.0.2"), ip_address("::ffff:127.0.0.1")),
}
"""By IP version: what every zone must list, and what none may (RFC 5782, 5)."""
