"""The settings that name nameservers, and whom a resolver asks."""

from pathlib import Path

import pytest

from postmeter.shared.process.nameservers import nameservers, resolver

SETTING = "POSTMETER_DNSBL_NAMESERVERS"


def test_nameservers_are_read() -> None:
    assert nameservers("") == ()
    assert nameservers("192.0.2.1, 192.0.2.2:5353,2001:db8::1,[2001:db8::2],[2001:db8::3]:54") == (
        ("192.0.2.1", 53),
        ("192.0.2.2", 5353),
        ("2001:db8::1", 53),
        ("2001:db8::2", 53),
        ("2001:db8::3", 54),
    )


def test_the_systems_nameservers_are_asked_unless_others_are_named(tmp_path: Path) -> None:
    system = tmp_path / "resolv.conf"
    system.write_text("nameserver 192.0.2.53\n")
    assert [str(one) for one in resolver((), SETTING, 1.0, str(system)).nameservers] == ["192.0.2.53"]
    assert [str(one) for one in resolver([("192.0.2.1", 5353)], SETTING, 1.0, str(system)).nameservers] == [
        "Do53:192.0.2.1@5353"
    ]


@pytest.mark.parametrize("text", ["", None])
def test_a_system_without_nameservers_says_what_to_set(tmp_path: Path, text: str | None) -> None:
    system = tmp_path / "resolv.conf"
    if text is not None:
        system.write_text(text)
    with pytest.raises(OSError, match=f"set {SETTING}"):
        resolver((), SETTING, 1.0, str(system))
