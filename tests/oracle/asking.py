"""Who asks, when, and what that key may see; and how an answer or an error is told."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.oracle.history import Count, History, Message


class Refused(Exception):
    """An error answer: its status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Domain:
    """A domain of a workspace. Domains are told the oldest first."""

    id: str
    name: str


@dataclass(frozen=True)
class SendingIp:
    """An IP that the workspace sends from, and what the last look-up found."""

    address: str
    checked: datetime | None
    listed: list[str]


@dataclass(frozen=True)
class Workspace:
    """What is known of a workspace beside its events. campaigns: when each was made known, by id."""

    number: int
    id: str
    timezone: str
    created: datetime
    domains: list[Domain] = field(default_factory=list)
    ips: list[SendingIp] = field(default_factory=list)
    campaigns: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Asking:
    """One key's view. domains: the names that a domain_admin is confined to; None: everything.

    semantics.md, "Who may read": "A `domain_admin` sees only its domains, in totals too".
    """

    workspace: Workspace
    history: History
    now: datetime
    role: str = "admin"
    confined: tuple[str, ...] | None = None

    def sees(self, domain: str) -> bool:
        return self.confined is None or domain in self.confined

    def domains(self) -> list[Domain]:
        return [domain for domain in self.workspace.domains if self.sees(domain.name)]

    def counts(self) -> list[Count]:
        return [count for count in self.history.counts if self.sees(count.place.domain)]

    def messages(self) -> list[Message]:
        return [message for message in self.history.messages.values() if self.sees(message.place.domain)]

    def campaigns(self) -> dict[str, str]:
        """Names by id, of the campaigns that the key may see; one without a name is called by its id.

        A domain_admin sees those that its domains sent for; every other key also those without any message.
        """
        ids = {message.place.campaign for message in self.messages()} - {""}
        if self.confined is None:
            ids |= set(self.history.names)
        return {campaign: self.history.names.get(campaign) or campaign for campaign in sorted(ids)}


def between(counts: Iterable[Count], start: datetime, end: datetime) -> list[Count]:
    """Those with start <= t < end."""
    return [count for count in counts if start <= count.at < end]


def apart(counts: Iterable[Count], of: Callable[[Count], Any]) -> defaultdict[Any, list[Count]]:
    """Counts by what `of` says of them."""
    found: defaultdict[Any, list[Count]] = defaultdict(list)
    for count in counts:
        found[of(count)].append(count)
    return found


def totals(counts: Iterable[Count]) -> "Counter[str]":
    """Every native metric's sum. `bounced`, `opens`, `clicks`: docs/api/query.md; the latter leave machines out."""
    found: Counter[str] = Counter()
    for count in counts:
        found[count.metric] += count.amount
    found["bounced"] = found["hard_bounced"] + found["soft_bounced"]
    found["opens"] = found["human_opens"] + found["proxy_opens"]
    found["clicks"] = found["human_clicks"]
    return found


Answer = tuple[int, Any]


def answered(ask: Callable[[], Any]) -> Answer:
    """(200, body), or (status, code) of a refusal."""
    try:
        return 200, ask()
    except Refused as refused:
        return refused.status, refused.code
