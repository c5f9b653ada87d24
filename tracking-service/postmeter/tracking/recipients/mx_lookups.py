"""MX records of recipients' domains: asked in the background, remembered, bounded in every way (ADR 0024)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.resolver

from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.recipients.mailbox_providers import OTHER, MailboxExchangers

TRY_SECONDS = 2.0
"""For one try of a look-up."""
CONCURRENCY = 4
"""Questions in flight: each answer takes a third of a millisecond of the event loop that answers hits."""
OF_ONE = 3
"""Of one workspace: others are answered though nobody answers for the domains that this one writes to."""


class Datagrams(dns.nameserver.Do53Nameserver):
    """One nameserver, asked by UDP only. An answer that is too long for a datagram does not count.

    By TCP it may have 64 KB, which take a tenth of a second to read: whoever owns a recipient's domain could keep the
    event loop from answering hits. By UDP it has what a datagram holds that asks for no more (RFC 1035, 4.2.1).
    """

    async def async_query(self, *args: Any, **options: Any) -> dns.message.Message:
        """Ask. Raises dns.message.Truncated instead of asking again by TCP, and what the network raises."""
        by_tcp = options["max_size"] if "max_size" in options else args[4]
        if by_tcp:
            raise dns.message.Truncated
        return await super().async_query(*args, **options)


def by_datagrams(through: dns.asyncresolver.Resolver) -> dns.asyncresolver.Resolver:
    """The same resolver, whose nameservers are asked so."""
    through.nameservers = [
        Datagrams(one, through.port) if isinstance(one, str) else Datagrams(one.address, one.port)
        for one in through.nameservers
        if isinstance(one, str | dns.nameserver.Do53Nameserver)
    ]
    return through


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of time, in seconds, and of number."""

    request_seconds: float = 0.3
    """What a request waits for all its domains together."""
    lookup_seconds: float = 5.0
    """For one look-up, all its retries and nameservers included; it goes on when its request does not wait any more."""
    known_seconds: float = 86_400.0
    failed_seconds: float = 300.0
    pending: int = 2_000
    """Look-ups that are begun or wait for their turn; a half of them may be one workspace's."""
    remembered: int = 50_000
    """Domains."""


@dataclass(frozen=True, slots=True)
class _Known:
    """until: when to ask again, in seconds of the monotonic clock."""

    provider: str
    until: float


class MxLookups:
    """Names who runs the mailboxes of domains by the hosts that take their mail. bounds: may be changed at any time."""

    def __init__(
        self,
        through: dns.asyncresolver.Resolver,
        exchangers: MailboxExchangers,
        metrics: TrackingMetrics,
        bounds: Bounds = Bounds(),
    ) -> None:
        self.bounds = bounds
        self._resolver = by_datagrams(through)
        self._exchangers = exchangers
        self._metrics = metrics
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._asked_by: Counter[int] = Counter()
        self._turns = asyncio.Semaphore(CONCURRENCY)
        self._shares: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, domain: str) -> str:
        """The provider as far as it is known now, else OTHER."""
        known = self._used(domain)
        return OTHER if known is None else known.provider

    async def prepare(self, workspace: int, domains: Iterable[str]) -> None:
        """Look up those that are not known, for a workspace, and wait for them until their time is over.

        What is known is asked again after its time without anybody waiting for it.
        """
        unknown = [
            asking for domain in domains if (asking := self._begun(workspace, domain)) and domain not in self._known
        ]
        if unknown:
            _, late = await asyncio.wait(unknown, timeout=self.bounds.request_seconds)
            self._metrics.mailbox_late.inc(len(late))

    async def close(self) -> None:
        """Give up what is under way."""
        under_way = list(self._asking.values())
        for asking in under_way:
            asking.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _begun(self, workspace: int, domain: str) -> asyncio.Task[None] | None:
        """The look-up of a domain that is due, the same for all who ask; None if it is not due or too many wait."""
        known = self._used(domain)
        if known is not None and time.monotonic() < known.until:
            return None
        asking = self._asking.get(domain)
        if asking is None:
            if len(self._asking) >= self.bounds.pending or self._asked_by[workspace] >= self.bounds.pending // 2:
                self._metrics.mailbox_lookups.labels("skipped").inc()
                return None
            asking = self._asking[domain] = asyncio.create_task(self._look_up(workspace, domain))
            self._asked_by[workspace] += 1
            asking.add_done_callback(lambda _: self._ended(workspace, domain))
        return asking

    def _ended(self, workspace: int, domain: str) -> None:
        self._asking.pop(domain, None)
        self._asked_by[workspace] -= 1
        if not self._asked_by[workspace]:
            del self._asked_by[workspace]

    def _used(self, domain: str) -> _Known | None:
        known = self._known.get(domain)
        if known is not None:
            self._known.move_to_end(domain)
        return known

    async def _look_up(self, workspace: int, domain: str) -> None:
        async with self._shares.setdefault(workspace, asyncio.Semaphore(OF_ONE)), self._turns:
            provider = await self._ask(domain)
        if provider is None:
            self._metrics.mailbox_lookups.labels("failed").inc()
            self._remember(domain, self.of(domain), self.bounds.failed_seconds)
        else:
            self._metrics.mailbox_lookups.labels("named" if provider else "unnamed").inc()
            self._remember(domain, provider, self.bounds.known_seconds)

    async def _ask(self, domain: str) -> str | None:
        """Who takes a domain's mail first (RFC 5321, 5.1): by the hosts of the lowest preference. None: no answer."""
        try:
            name = dns.name.from_text(domain)
        except dns.exception.DNSException:
            return OTHER
        try:
            answer = await self._resolver.resolve(
                name, "MX", raise_on_no_answer=False, search=False, lifetime=self.bounds.lookup_seconds
            )
        except dns.resolver.NXDOMAIN:
            return OTHER
        except (dns.exception.DNSException, OSError):
            return None
        records = list(answer.rrset or ())
        first = min((record.preference for record in records), default=0)
        hosts = sorted(_plain(record.exchange) for record in records if record.preference == first)
        return next((named for host in hosts if (named := self._exchangers.of(host))), OTHER)

    def _remember(self, domain: str, provider: str, seconds: float) -> None:
        self._known[domain] = _Known(provider, time.monotonic() + seconds)
        self._known.move_to_end(domain)
        if len(self._known) > self.bounds.remembered:
            self._known.popitem(last=False)


def _plain(host: dns.name.Name) -> str:
    return host.to_text(omit_final_dot=True).lower()
