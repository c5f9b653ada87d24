"""Whose address a request is counted under: what trusted proxies say, or the gateway under its seal (ADR 0027)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

import msgspec
from aiohttp import web

from postmeter.shared.http.clients import networks

HEADER = "Postmeter-Client"
"""The header by which the gateway vouches for the client to tracking-service (sealed.py)."""
CLAIMS = (b"x-forwarded-for", b"forwarded")
"""The headers that name the hops before us, in the order that `address` takes them."""
_READ = 4096
"""Bytes of the headers that are looked at, from their end: some dozen hops."""


class Client(msgspec.Struct, frozen=True):
    """Who has called the gateway."""

    address: str


def lists(request: web.BaseRequest, names: tuple[bytes, ...]) -> Iterable[bytes]:
    """The headers of these names, each empty where there is none."""
    given = dict.fromkeys(names, b"")
    for name, value in request.raw_headers:
        if (lowered := name.lower()) in given:
            given[lowered] = join(given[lowered], value)
    return given.values()


def join(before: bytes, value: bytes) -> bytes:
    """Several headers of one name are one list."""
    return before + b"," + value if before else value


def address(peer: str, x_forwarded_for: bytes, forwarded: bytes, hops: int) -> tuple[str, int | None]:
    """The client's address: `hops` steps back from the peer along X-Forwarded-For, or Forwarded (RFC 7239) without it.

    Each is all headers of that name joined by commas. Entries before the trusted hops are the client's own claim and
    never looked at; one that is not an address (`unknown`, `_hidden`, anything else) ends the walk
    (hostile-input.md 22, 57).

    Beside it, where the request does not look as if there were so many proxies, how many entries it has: fewer than
    `hops`, though the peer is not one of our own hosts; or any, from one of them, where none is trusted.
    """
    return _address(peer, x_forwarded_for[-_READ:], forwarded[-_READ:], hops)


@lru_cache(maxsize=4096)
def _address(peer: str, x_forwarded_for: bytes, forwarded: bytes, hops: int) -> tuple[str, int | None]:
    client = plain(peer) or peer
    given = x_forwarded_for or forwarded
    entries = given.split(b",") if given else []
    doubt = len(entries) if _is_doubtful(len(entries), hops, is_private=networks.is_private(client)) else None
    if not hops:
        return client, doubt
    # From the right: a quote that the client has opened cannot swallow what the proxies behind it have added.
    for entry in reversed(entries[-hops:]):
        node = entry if x_forwarded_for else _for(entry)
        found = plain(_host(node.decode("ascii", "replace")))
        if not found:
            break
        client = found
    return client, doubt


def _is_doubtful(entries: int, hops: int, *, is_private: bool) -> bool:
    """A private peer without entries is a probe, or another service of ours; a public one with some may claim them."""
    return entries < hops and (entries > 0 or not is_private) if hops else entries > 0 and is_private


def _for(element: bytes) -> bytes:
    """The node that a Forwarded element is for."""
    for pair in element.split(b";"):
        name, _, value = pair.partition(b"=")
        if name.strip().lower() == b"for":
            return value
    return b""


def _host(node: str) -> str:
    """A node without quotes, brackets and port."""
    node = node.strip().strip('"').strip()
    if node.startswith("["):
        inner, closed, _ = node[1:].partition("]")
        return inner if closed else ""
    return node.partition(":")[0] if node.count(":") == 1 else node


def plain(text: str) -> str:
    """An address in its usual form, without a zone, an IPv4 one as such; empty for what is not one."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return str(found.ipv4_mapped or found) if isinstance(found, IPv6Address) else str(found)
