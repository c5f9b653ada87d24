"""Which nameservers are asked: a setting's text, read, and a resolver that asks them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Annotated

import dns.asyncresolver
import dns.nameserver
import dns.resolver

from postmeter.shared.process.setting_types import Takes, is_read_by

DNS_PORT = 53
SYSTEM = "/etc/resolv.conf"
Nameserver = tuple[str, int]
"""Address and port."""


def nameservers(text: str) -> tuple[Nameserver, ...]:
    """Return addresses and ports of comma-separated `IP`, `IPv4:port` or `[IPv6]:port`. Raises ValueError."""
    return tuple(_nameserver(part.strip()) for part in text.split(",") if part.strip())


def _nameserver(text: str) -> Nameserver:
    host, port = text, str(DNS_PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if rest:
            port = rest.removeprefix(":") if rest.startswith(":") else ""
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("not a port")
    return str(ip_address(host)), int(port)


NameserversSetting = Annotated[
    str,
    Takes(
        "nameservers' IP addresses, separated by commas, such as 192.0.2.53,[2001:db8::53]:5353",
        is_read_by(nameservers),
    ),
]


def resolver(
    asked: Iterable[Nameserver], setting: str, try_seconds: float, system: str = SYSTEM
) -> dns.asyncresolver.Resolver:
    """A resolver that asks these nameservers, or if there are none those that `system` names.

    Each question is given up after try_seconds, and asked again of the next one. Raises OSError where the system names
    none either; `setting` is what could name some.
    """
    chosen = [dns.nameserver.Do53Nameserver(address, port) for address, port in asked]
    try:
        made = dns.asyncresolver.Resolver(system, configure=not chosen)
    except dns.resolver.NoResolverConfiguration:
        raise OSError(f"{system} names no nameserver: set {setting}") from None
    if chosen:
        made.nameservers = chosen
    made.timeout = try_seconds
    return made
