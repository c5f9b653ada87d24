"""Which DNSBL zones are asked: the setting's text, read."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from postmeter.shared.auth.secret import Secret
from postmeter.shared.process.setting_types import Takes, is_read_by
from postmeter.shared.text.domains import normal

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


ZonesSetting = Annotated[
    Secret,
    Takes("up to 64 DNSBL zones, separated by commas, such as bl.example.net,dnsbl.example.org", is_read_by(zones)),
]
