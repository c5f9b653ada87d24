"""The client's address behind proxies: what is read, what ends the walk, and that a client's own claims never count."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.http.clients import client_address

PEER = "192.0.2.9"
ADDRESSES = st.ip_addresses().filter(lambda one: isinstance(one, IPv4Address) or one.ipv4_mapped is None)
ODD = ("", " ", "unknown", "_hidden", '"_x"', "x", ":", "[", "[]", "]", '"', "1.2.3", "1.2.3.4.5", "::g", "[::1",
       "=", ";", "for", "for=", "\0", "\xff", "1" * 500)  # fmt: skip


def address(peer: str, x_forwarded_for: bytes, forwarded: bytes, hops: int) -> str:
    return client_address.address(peer, x_forwarded_for, forwarded, hops)[0]


def spellings(one: IPv4Address | IPv6Address) -> list[str]:
    """An X-Forwarded-For entry as proxies write it."""
    if one.version == 4:
        return [f"{one}", f"{one}:51234", f'"{one}"', f'"{one}:51234"', f"[{one}]:1", f"::ffff:{one}", f" {one} "]
    return [f"{one}", f"[{one}]", f"[{one}]:443", f'"[{one}]:443"', f'"{one}"', f"{one}%eth0", f"[{one.exploded}]"]


def elements(one: IPv4Address | IPv6Address) -> list[str]:
    """A Forwarded element (RFC 7239, 4)."""
    node = f"{one}" if one.version == 4 else f'"[{one}]"'
    port = f'"{one}:80"' if one.version == 4 else f'"[{one}]:_x"'
    return [f"for={node}", f"For={port}", f"proto=https;for={node};by=203.0.113.1", f' for = {node} ; host="a"']


@given(st.lists(ADDRESSES, min_size=1, max_size=5), st.integers(0, 6), st.data())
def test_as_many_hops_as_configured_are_walked(
    hops: list[IPv4Address | IPv6Address], most: int, data: st.DataObject
) -> None:
    trusted = hops[-most:] if most else []
    for write, at in ((spellings, 0), (elements, 1)):
        text = ",".join(data.draw(st.sampled_from(write(one))) for one in hops).encode()
        given = (text, b"") if at == 0 else (b"", text)
        assert address(PEER, *given, most) == (str(trusted[0]) if trusted else PEER)


@given(st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")), ADDRESSES, st.booleans())
def test_what_a_client_claims_before_the_trusted_hop_never_counts(
    claim: bytes, seen: IPv4Address | IPv6Address, is_new: bool
) -> None:
    own = (elements if is_new else spellings)(seen)[0].encode()
    text = claim + b"," + own
    assert address(PEER, *((b"", text) if is_new else (text, b"")), 1) == str(seen)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("is_new", [False, True])
def test_an_unreadable_hop_ends_the_walk(odd: str, is_new: bool) -> None:
    before, after = ("for=6.6.6.6", "for=203.0.113.5") if is_new else ("6.6.6.6", "203.0.113.5")
    text = ",".join((before, odd, after)).encode("latin-1")
    assert address(PEER, *((b"", text) if is_new else (text, b"")), 3) == "203.0.113.5"
    text = ",".join((before, odd)).encode("latin-1")
    assert address(PEER, *((b"", text) if is_new else (text, b"")), 2) == PEER


def test_the_newer_header_does_not_count_beside_the_older() -> None:
    """Most proxies set the older only, and pass the newer on as the client has claimed it."""
    assert address(PEER, b"203.0.113.5", b"for=6.6.6.6", 1) == "203.0.113.5"


def test_headers_of_any_length_are_read_from_their_end() -> None:
    assert address(PEER, b"6.6.6.6," * 10_000 + b"203.0.113.5", b"", 1) == "203.0.113.5"
    assert address("::ffff:192.0.2.9", b"", b"", 1) == PEER
