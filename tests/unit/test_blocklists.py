"""DNSBL names and answers (RFC 5782), and the setting that names zones."""

from ipaddress import ip_address

import pytest

from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.upkeep.blocklists.lookups import TEST_ENTRIES, Result, judge, name_of
from postmeter.aggregator.upkeep.blocklists.zones import Zone, zones
from postmeter.shared.errors import SettingsError
from postmeter.shared.process.settings import load

GIVEN = {"POSTMETER_POSTGRES_DSN": "postgresql://h/d", "POSTMETER_REDIS_URL": "redis://h"}
KEY = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("address", "zone", "name"),
    [  # The first two are the RFC's own examples.
        ("192.0.2.99", "bad.example.com", "99.2.0.192.bad.example.com."),
        (
            "2001:db8:1:2:3:4:567:89ab",
            "ugly.example.com",
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com.",
        ),
        ("127.0.0.2", "a.b", "2.0.0.127.a.b."),
        (str(TEST_ENTRIES[6][0]), "a.b", "2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".a.b."),
        (str(TEST_ENTRIES[6][1]), "a.b", "1.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".a.b."),
    ],
)
def test_addresses_are_asked_for_in_reverse(address: str, zone: str, name: str) -> None:
    assert name_of(ip_address(address), zone).to_text() == name


def test_the_longest_zone_leaves_room_for_an_ipv6_address() -> None:
    zone = ".".join(("a" * 62,) * 3)
    assert len(zone) == 188
    (made,) = zones(zone + "b")
    assert len(name_of(ip_address("2001:db8::1"), made.name).to_text()) == 254
    with pytest.raises(ValueError, match="zones"):
        zones(zone + ".b")


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ([], Result.NOT_LISTED),
        (["127.0.0.2"], Result.LISTED),
        (["127.0.0.10", "127.0.0.4"], Result.LISTED),
        (["127.1.2.3"], Result.LISTED),
        (["127.255.254.255"], Result.LISTED),
        (["127.0.0.1"], Result.ERROR),
        (["127.255.255.252"], Result.ERROR),
        (["127.255.255.254"], Result.ERROR),
        (["127.255.255.255"], Result.ERROR),
        (["126.255.255.255"], Result.ERROR),
        (["128.0.0.2"], Result.ERROR),
        (["203.0.113.80"], Result.ERROR),
        (["127.0.0.2", "203.0.113.80"], Result.ERROR),
    ],
)
def test_what_answers_mean(answers: list[str], result: Result) -> None:
    assert judge(answers) is result


def test_zones_are_read() -> None:
    assert zones("") == zones(" , ") == ()
    assert zones(" BL.Example.net., dnsbl.example.org ,bl.example.net") == (
        Zone("bl.example.net"),
        Zone("dnsbl.example.org"),
    )


def test_a_subscribers_key_is_not_shown() -> None:
    (zone,) = zones(f"{KEY}.zen.example.net")
    assert zone.name == f"{KEY}.zen.example.net"
    assert zone.shown == "*.zen.example.net"
    assert Zone("b.barracudacentral.org").shown == "b.barracudacentral.org"
    with pytest.raises(ValueError, match="two keys"):
        zones(f"{KEY}.zen.example.net,x{KEY}.zen.example.net")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DNSBL_ZONES", "localhost"),
        ("DNSBL_ZONES", "bl.example.net;dnsbl.example.org"),
        ("DNSBL_ZONES", "a..example.net"),
        ("DNSBL_ZONES", ",".join(f"z{number}.example.net" for number in range(65))),
        ("DNSBL_NAMESERVERS", "dns.example.net"),
        ("DNSBL_NAMESERVERS", "192.0.2.1:0"),
        ("DNSBL_NAMESERVERS", "192.0.2.1:65536"),
        ("DNSBL_NAMESERVERS", "[2001:db8::1]53"),
        ("DNSBL_NAMESERVERS", "192.0.2.1:"),
        ("DNSBL_INTERVAL", "59"),
        ("DNSBL_INTERVAL", "nan"),
    ],
)
def test_wrong_settings_are_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^POSTMETER_{name} takes"):
        load(AggregatorSettings, {**GIVEN, f"POSTMETER_{name}": value})


def test_a_wrong_list_of_zones_does_not_show_its_key() -> None:
    with pytest.raises(SettingsError) as caught:
        load(AggregatorSettings, {**GIVEN, "POSTMETER_DNSBL_ZONES": f"{KEY}.zen.example.net;"})
    assert KEY not in str(caught.value)
    settings = load(AggregatorSettings, {**GIVEN, "POSTMETER_DNSBL_ZONES": f"{KEY}.zen.example.net"})
    assert KEY not in repr(settings)
