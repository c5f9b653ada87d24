"""Bounds of connections: of all, of one address, of one IPv6 site; and whom they do not hold for."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from postmeter.shared.errors import RequestError
from postmeter.shared.http.clients.connections import Connections
from postmeter.shared.http.clients.networks import read_networks
from postmeter.tracking.metrics import TrackingMetrics

PEERS = ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1", "10.0.0.7",
         "127.0.0.1", "fe80::1%eth0", "fd00::1", "")  # fmt: skip
SITE = {"::ffff:192.0.2.1": "192.0.2.1", "2001:db8::ffff:1": "2001:db8::1"}
FREE = {"10.0.0.7", "127.0.0.1", "fe80::1%eth0", "fd00::1", ""}


def bounded(most: int, most_of_one: int, free: str = "private") -> tuple[Connections, TrackingMetrics]:
    metrics = TrackingMetrics(CollectorRegistry())
    return Connections(most, most_of_one, read_networks(free), metrics.connections_refused), metrics


@given(st.lists(st.tuples(st.sampled_from(PEERS), st.booleans()), max_size=60))
def test_it_counts_as_a_list_of_who_is_there_would(moves: list[tuple[str, bool]]) -> None:
    connections, _ = bounded(12, 3)
    there: list[str] = []
    for peer, comes in moves:
        if not comes:
            if peer in there:
                there.remove(peer)
                connections.release(peer)
            continue
        there.append(peer)
        refused = connections.admit(peer)
        site = SITE.get(peer, peer)
        same = sum(SITE.get(one, one) == site for one in there)
        expected = 503 if len(there) > 12 else 429 if same > 3 and peer not in FREE else None
        assert (refused.status if isinstance(refused, RequestError) else None) == expected
        assert connections.open == len(there)
    for peer in there:
        connections.release(peer)
    assert (connections.open, connections._of_one) == (0, {})


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_an_ipv6_site_is_one_client(first: int, second: int) -> None:
    connections, metrics = bounded(100, 1)
    site = 0x2001_0DB8_0001_0002 << 64
    assert connections.admit(str(IPv6Address(site + first))) is None
    assert connections.admit(str(IPv6Address(site + second))) is not None
    assert connections.admit(str(IPv6Address(site + (1 << 64) + second))) is None
    assert metrics.connections_refused.labels("client")._value.get() == 1


def test_named_networks_are_free() -> None:
    connections, _ = bounded(100, 1, "192.0.2.0/24, 2001:db8::/32")
    for peer in ("192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::1", "127.0.0.1"):
        assert connections.admit(peer) is None
    assert connections.admit("127.0.0.1") is not None


@pytest.mark.parametrize("text", ["", "x", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/24,,"])
def test_what_is_not_a_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|has host bits"):
        read_networks(text)


def test_so_many_are_taken_and_one_more_is_not() -> None:
    connections, _ = bounded(2, 1)
    assert connections.admit("192.0.2.1") is None
    assert connections.admit("192.0.2.2") is None
    refused = connections.admit("192.0.2.3")
    assert refused is not None
    assert refused.status == 503
    connections.release("192.0.2.3")
    connections.release("192.0.2.2")
    refused = connections.admit("192.0.2.1")
    assert refused is not None
    assert refused.status == 429


def test_so_many_of_each_are_taken_however_many_there_are_of_all() -> None:
    refused = TrackingMetrics(CollectorRegistry()).connections_refused
    connections = Connections(2, 2, (), refused, assured=1)
    assert [connections.admit(f"192.0.2.{n}") for n in (1, 1, 2, 3)] == [None] * 4
    error = connections.admit("192.0.2.2")
    assert error is not None
    assert error.status == 503
