"""`postmeter sending-ip`: the IPs that a workspace sends from."""

import pytest

from tests.integration.blocklists import ONE, SIX, TWO
from tests.integration.commands import Commands


def test_sending_ips_are_added_listed_and_removed(command: Commands) -> None:
    added = command("sending-ip", "add", "--workspace", "acme", ONE, "2A00:1450:0::8A", f"::ffff:{TWO}", ONE)
    assert added.output.splitlines() == [f"{ONE} added", f"{SIX} added", f"{TWO} added"]
    again = command("sending-ip", "add", "--workspace", "acme", ONE, "9.9.9.9")
    assert again.output.splitlines() == [f"{ONE} was there already", "9.9.9.9 added"]
    listed = command("sending-ip", "list", "--workspace", "acme").output.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["ip", ONE, TWO, "9.9.9.9", SIX]
    assert listed[1].split("\t")[2:] == ["never", "-"]
    refused = command("sending-ip", "remove", "--workspace", "acme", ONE, "9.9.9.8")
    assert refused.exit_code == 1
    assert "has no sending IP 9.9.9.8; nothing was removed" in refused.output
    removed = command("sending-ip", "remove", "--workspace", "acme", ONE, SIX)
    assert removed.output.splitlines() == [f"{ONE} removed", f"{SIX} removed"]
    left = command("sending-ip", "list", "--workspace", "acme").output.splitlines()
    assert [line.split("\t")[0] for line in left] == ["ip", TWO, "9.9.9.9"]


@pytest.mark.parametrize(
    ("ip", "message"),
    [
        ("mail.example.net", "is not an IP address, such as"),
        ("9.1.2", "is not an IP address, such as"),
        ("9.1.2.256", "is not an IP address, such as"),
        ("09.1.2.3", "is not an IP address, such as"),
        ("9.1.2.0/24", "but a network: name each address"),
        ("10.0.0.1", "is not public"),
        ("192.168.1.1", "is not public"),
        ("100.64.0.1", "is not public"),
        ("127.0.0.1", "is not public"),
        ("0.0.0.0", "is not public"),
        ("224.0.0.251", "is not public"),
        ("192.0.2.1", "is not public"),
        ("::1", "is not public"),
        ("fd00::1", "is not public"),
        ("fe80::1", "is not public"),
        ("fe80::1%eth0", "belongs to one link only"),
        ("ff0e::1", "is not public"),
        ("::ffff:10.0.0.1", "is not public"),
    ],
)
def test_other_addresses_are_refused_and_nothing_is_stored(command: Commands, ip: str, message: str) -> None:
    refused = command("sending-ip", "add", "--workspace", "acme", ONE, ip)
    assert refused.exit_code == 1
    assert message in refused.output
    assert command("sending-ip", "list", "--workspace", "acme").output.splitlines()[1:] == []


@pytest.mark.parametrize("action", ["add", "list", "remove"])
def test_an_unknown_workspace_is_named(command: Commands, action: str) -> None:
    refused = command("sending-ip", action, "--workspace", "other", *([] if action == "list" else [ONE]))
    assert refused.exit_code == 1
    assert "there is no workspace 'other'" in refused.output
