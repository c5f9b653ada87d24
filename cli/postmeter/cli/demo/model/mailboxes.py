"""Where people have their mailboxes: domains that nobody owns, by the shares of real ones.

Nobody's address is made up: all domains end in `.example` (RFC 2606). Which provider such a domain stands for is told
to the tracking-service by a list of the demo's own (docs/mailbox-providers.md).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import NamedTuple


class Mailbox(NamedTuple):
    """A domain of private mailboxes; share: of all private ones. zones: where its people live, by weight."""

    domain: str
    provider: str
    share: float
    zones: tuple[tuple[str, float], ...]


BERLIN, LONDON, PARIS = "Europe/Berlin", "Europe/London", "Europe/Paris"
EAST, CENTRAL, WEST = "America/New_York", "America/Chicago", "America/Los_Angeles"
_WORLD = ((BERLIN, 34.0), (LONDON, 20.0), (EAST, 16.0), (WEST, 9.0), (CENTRAL, 7.0), (PARIS, 8.0),
          ("Asia/Kolkata", 3.0), ("Australia/Sydney", 3.0))  # fmt: skip
_GERMANY = ((BERLIN, 1.0),)
_AMERICA = ((EAST, 4.0), (CENTRAL, 3.0), (WEST, 3.0))
PRIVATE = (
    Mailbox("gmail.example", "gmail", 41.0, _WORLD),
    Mailbox("outlook.example", "outlook", 9.0, _WORLD),
    Mailbox("hotmail.example", "outlook", 6.0, _WORLD),
    Mailbox("icloud.example", "icloud", 11.0, _WORLD),
    Mailbox("yahoo.example", "yahoo", 7.5, _WORLD),
    Mailbox("aol.example", "yahoo", 2.0, _AMERICA),
    Mailbox("gmx.example", "gmx", 6.5, _GERMANY),
    Mailbox("web.example", "web_de", 5.0, _GERMANY),
    Mailbox("t-online.example", "t_online", 3.0, _GERMANY),
    Mailbox("orange.example", "orange", 2.0, ((PARIS, 1.0),)),
    Mailbox("btinternet.example", "bt", 1.5, ((LONDON, 1.0),)),
    Mailbox("comcast.example", "comcast", 2.0, _AMERICA),
    Mailbox("proton.example", "proton", 2.0, _WORLD),
    Mailbox("fastmail.example", "fastmail", 1.0, _WORLD),
)
"""Roughly as lists of shops in Europe and North America have them."""
REPORTING = frozenset({"outlook", "yahoo", "gmx", "web_de", "orange", "comcast", "fastmail"})
"""Who reports complaints to senders. Gmail, iCloud and companies' mailboxes do not: nobody hears of theirs."""


class Company(NamedTuple):
    """A café's or an office's own domain. scanner: what looks at its mail first, by its name in `machines`; empty:
    nothing."""

    domain: str
    provider: str
    zone: str
    scanner: str


_WORDS = ("corner", "harbour", "station", "market", "mill", "bridge", "garden", "library", "museum", "river")
_KINDS = ("cafe", "bakery", "office", "studio")
_HOSTS = ("google_workspace", "microsoft_365", "microsoft_365", "")
_SCANNERS = ("", "microsoft", "", "hasty", "proofpoint", "", "mimecast", "", "barracuda", "")
_ZONES = (BERLIN, LONDON, EAST, BERLIN, PARIS)
COMPANIES = tuple(
    Company(f"{word}-{kind}.example", _HOSTS[(place + turn) % 4], _ZONES[place % 5], _SCANNERS[(place + 3 * turn) % 10])
    for place, word in enumerate(_WORDS)
    for turn, kind in enumerate(_KINDS)
)


def provider_list(base: str) -> str:
    """A list of mailbox providers: `base` (empty: the one that ships), and the demo's domains."""
    shipped = resources.files("postmeter.tracking.recipients").joinpath("mailbox_providers.txt")
    text = Path(base).read_text() if base else shipped.read_text()
    named = [(mailbox.provider, mailbox.domain) for mailbox in PRIVATE]
    named += [(company.provider, company.domain) for company in COMPANIES if company.provider]
    return "\n".join([text.rstrip(), "# The demo's.", *(f"{provider} {domain}" for provider, domain in named), ""])
