"""Which DNSBL zones are asked, and through which nameservers: the settings' texts, read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any

from postmeter.shared.domains import normal
from postmeter.shared.secret import Secret
from postmeter.shared.setting_types import Takes

DNS_PORT = 53
LONGEST_ZONE = 189
"""253 characters of a name (RFC 1035), less the 32 nibbles of an IPv6 address with their dots."""
MOST_ZONES = 64
_KEY_LENGTH = 20

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Zone:
    """name: what is asked, such as `bl.example.net`."""

    name: str

    @property
    def shown(self) -> str:
        """The name for logs, metrics and tables.

        Some zones carry the subscriber's key as a label; a label so long is taken for one and shown as `*`.
        """
        return ".".join("*" if len(label) >= _KEY_LENGTH else label for label in self.name.split("."))


def zones(text: str) -> tuple[Zone, ...]:
    """Return the zones of a comma-separated text, each once, in its order. Raises ValueError."""
    names = dict.fromkeys(normal(name) for name in text.split(",") if name.strip())
    found = tuple(Zone(name) for name in names)
    if len(found) > MOST_ZONES or any("." not in zone.name or len(zone.name) > LONGEST_ZONE for zone in found):
        raise ValueError("not a list of zones")
    if len({zone.shown for zone in found}) < len(found):
        # Their results could not be told apart.
        raise ValueError("one zone under two keys")
    return found


def nameservers(text: str) -> tuple[tuple[str, int], ...]:
    """Return addresses and ports of comma-separated `IP`, `IPv4:port` or `[IPv6]:port`. Raises ValueError."""
    return tuple(_nameserver(part.strip()) for part in text.split(",") if part.strip())


def _nameserver(text: str) -> tuple[str, int]:
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


def _is_read_by(reader: Callable[[str], Any]) -> Callable[[Any], bool]:
    def test(value: Secret | str) -> bool:
        try:
            reader(value.reveal() if isinstance(value, Secret) else value)
        except ValueError:
            return False
        return True

    return test


ZonesSetting = Annotated[
    Secret,
    Takes("up to 64 DNSBL zones, separated by commas, such as bl.example.net,dnsbl.example.org", _is_read_by(zones)),
]
NameserversSetting = Annotated[
    str,
    Takes(
        "nameservers' IP addresses, separated by commas, such as 192.0.2.53,[2001:db8::53]:5353",
        _is_read_by(nameservers),
    ),
]
