"""Who runs the mailboxes of a recipient's domain: Gmail, Outlook, Yahoo, ..., as data.

The file has a line for each provider, or several: its name, then its domains (lower case, punycode). It ships as
mailbox_providers.txt; POSTMETER_MAILBOX_PROVIDERS names another one. A domain that it does not have may be told by
the host that takes its mail: mailbox_exchangers.txt has those, in the same form (ADR 0024).
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from postmeter.shared.errors import SettingsError
from postmeter.shared.text.domains import normal

OTHER = ""
"""The mailbox provider of every domain that the file does not name."""
_NAME = re.compile(r"[a-z0-9_]{1,30}", re.ASCII)


class MailboxProviders:
    """Names mailbox providers."""

    def __init__(self, by_domain: dict[str, str]) -> None:
        self._by_domain = by_domain

    @classmethod
    def load(cls, path: str = "") -> MailboxProviders:
        """The shipped file, or the one at `path`. Raises SettingsError that names the line that is wrong."""
        try:
            text = Path(path).read_text() if path else resources.files(__package__).joinpath(_SHIPPED).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"POSTMETER_MAILBOX_PROVIDERS: {path} cannot be read: {error}") from None
        return cls(_read(text, path or _SHIPPED))

    def of(self, domain: str) -> str:
        """The provider of a domain as `domains.normal` gives it, or OTHER."""
        return self._by_domain.get(domain, OTHER)


class MailboxExchangers:
    """Names who runs the hosts of domains' MX records."""

    def __init__(self, by_end: dict[str, str]) -> None:
        self._by_end = by_end

    @classmethod
    def load(cls) -> MailboxExchangers:
        """The shipped file."""
        return cls(_read(resources.files(__package__).joinpath(_EXCHANGERS).read_text(), _EXCHANGERS))

    def of(self, host: str) -> str:
        """Who runs a host, by the longest end of its name that the file has, or OTHER."""
        end = host
        while end and end not in self._by_end:
            end = end.partition(".")[2]
        return self._by_end.get(end, OTHER)


_SHIPPED = "mailbox_providers.txt"
_EXCHANGERS = "mailbox_exchangers.txt"


def _read(text: str, source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        provider, *domains = line.partition("#")[0].split() or [""]
        for domain in domains:
            if not _NAME.fullmatch(provider) or not _is_normal(domain) or domain in found:
                raise SettingsError(f"{source}, line {number}: {provider} {domain}: not a name, not a domain, or twice")
            found[domain] = provider
    return found


def _is_normal(domain: str) -> bool:
    try:
        return normal(domain) == domain
    except ValueError:
        return False
