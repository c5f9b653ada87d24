"""Who runs the mailboxes of a recipient's domain: by the list, and what that does not have, if wanted, by MX."""

from __future__ import annotations

from collections.abc import Iterable

from postmeter.shared.process.nameservers import nameservers, resolver
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.recipients.mailbox_providers import MailboxExchangers, MailboxProviders
from postmeter.tracking.recipients.mx_lookups import TRY_SECONDS, Bounds, MxLookups
from postmeter.tracking.settings import TrackingSettings

BOUNDS = Bounds()


class Mailboxes:
    """Names mailbox providers. lookups: None where nothing is looked up."""

    def __init__(self, listed: MailboxProviders, lookups: MxLookups | None = None) -> None:
        self._listed = listed
        self._lookups = lookups

    @classmethod
    def configured(cls, settings: TrackingSettings, metrics: TrackingMetrics) -> Mailboxes:
        """As the settings say. Raises SettingsError, and OSError where look-ups have nobody to ask."""
        listed = MailboxProviders.load(settings.mailbox_providers)
        if not settings.mailbox_mx:
            return cls(listed)
        asked = nameservers(settings.mailbox_nameservers)
        through = resolver(asked, "POSTMETER_MAILBOX_NAMESERVERS", TRY_SECONDS)
        return cls(listed, MxLookups(through, MailboxExchangers.load(), metrics, BOUNDS))

    async def prepare(self, workspace: int, domains: Iterable[str]) -> None:
        """Look up what is not known of the domains of a workspace's request; never for longer than the look-ups'
        `request_seconds`.
        """
        if self._lookups is not None:
            names = {domain for domain in domains if domain and not domain.startswith("[")}
            await self._lookups.prepare(workspace, {name for name in names if not self._listed.of(name)})

    def of(self, domain: str) -> str:
        """The provider of a domain as `domains.normal` gives it, or OTHER: also where it is not known yet."""
        named = self._listed.of(domain)
        return named if named or self._lookups is None else self._lookups.of(domain)

    async def close(self) -> None:
        """Give up the look-ups that are under way."""
        if self._lookups is not None:
            await self._lookups.close()
