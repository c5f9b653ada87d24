"""A wrong POSTMETER_TRUSTED_HOPS is seen on requests; a right one is never doubted."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from postmeter.shared.http.clients.trusted_hops import REMEMBERED_SECONDS, TrustedHops
from postmeter.shared.process.metrics import HopsMetrics

PRIVATE = ("10.0.0.7", "127.0.0.1", "::1", "fd00::1", "::ffff:192.168.1.1", "100.64.3.2", "fe80::1%eth0", "")
PUBLIC = ("203.0.113.9", "2001:db8::9")


def doubts(registry: CollectorRegistry) -> dict[str, float]:
    found = {
        kind: registry.get_sample_value("postmeter_forwarded_doubts_total", {"kind": kind})
        for kind in ("untrusted", "few", "missing")
    }
    return {kind: value for kind, value in found.items() if value}


@given(st.integers(0, 4), st.integers(0, 5), st.sampled_from(PRIVATE + PUBLIC), st.booleans(), st.booleans())
def test_doubts_are_what_cannot_be_with_so_many_proxies(
    hops: int, entries: int, peer: str, is_new: bool, claims: bool
) -> None:
    """`entries` proxies are before the port; a client may have claimed one more, which hides that there are too few."""
    registry = CollectorRegistry()
    trusted = TrustedHops(hops, HopsMetrics(registry))
    count = entries + (claims and entries > 0)
    text = ",".join(["for=198.51.100.1" if is_new else "198.51.100.1"] * count).encode()
    trusted.address(peer, *((b"", text) if is_new else (text, b"")))
    expected: dict[str, float] = {}
    if hops == 0 and count and peer in PRIVATE:
        expected = {"untrusted": 1.0}
    elif 0 < count < hops:
        expected = {"few": 1.0}
    elif hops and not count and peer in PUBLIC:
        expected = {"missing": 1.0}
    assert doubts(registry) == expected
    assert (trusted.warning() is None) == (not expected)
    if entries == hops:
        assert peer in PUBLIC or "missing" not in expected


@pytest.mark.parametrize(
    ("hops", "peer", "header", "said"),
    [
        (0, "10.0.0.7", b"198.51.100.1, 203.0.113.9", r"from 10\.0\.0\.7 with 2 entries .* is 0: .*probably 2$"),
        (0, "", b"198.51.100.1", r"from a Unix socket with 1 entry .* is 0: .*probably 1$"),
        (3, "10.0.0.7", b"198.51.100.1", r"from 10\.0\.0\.7 with 1 entry .* is 3: clients can say .*probably 1$"),
        (2, "203.0.113.9", b"198.51.100.1", r"from a public address with 1 entry .* is 2"),
        (1, "203.0.113.9", b"", r"from a public address without X-Forwarded-For.* is 1: .* or set 0$"),
    ],
)
def test_it_is_logged_once_counted_each_time_and_forgotten_after_a_while(
    hops: int, peer: str, header: bytes, said: str
) -> None:
    now, registry = 0.0, CollectorRegistry()
    trusted = TrustedHops(hops, HopsMetrics(registry), lambda: now)
    assert trusted.warning() is None
    with capture_logs() as lines:
        for _ in range(3):
            trusted.address(peer, header, b"")
    (line,) = lines
    assert re.search(said, line["event"])
    assert line["log_level"] == "warning"
    assert "203.0.113.9" not in line["event"], "a public address may be a person's"
    assert trusted.warning() == line["event"]
    assert list(doubts(registry).values()) == [3.0]
    now = REMEMBERED_SECONDS
    assert trusted.warning() is None
