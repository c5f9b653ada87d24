"""Domains, campaigns and series: rows that messages point to, made before the flush that needs them.

They are made outside the flush's transaction: a row too many does no harm, so their ids may be remembered
at once, and no lock on a campaign everybody mails for is held while a flush is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

import msgspec

from postmeter.aggregator import metrics
from postmeter.aggregator.store.room import Room
from postmeter.shared.storage import uuid7
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import DIMENSIONS, OTHER, Series
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import Event, Registration, is_alone

_QUERIES = Queries("postmeter.aggregator.store", "dimensions.sql")
_TAGS = "array(SELECT jsonb_array_elements_text({}tags::jsonb))"
_PARTS = {
    "columns": ", ".join(DIMENSIONS),
    "parameters": ", ".join(f"${place}::text[]" for place, _ in enumerate(DIMENSIONS, 2)),
    "senders": ", ".join(f"${len(DIMENSIONS) + 2 + place}::text[]" for place in range(2)),
    "same": " AND ".join(f"s.{name} = {_TAGS.format('n.') if name == 'tags' else f'n.{name}'}" for name in DIMENSIONS),
    "values": ", ".join(_TAGS.format("") if name == "tags" else name for name in DIMENSIONS),
}
_FIND, _MAKE = (_QUERIES[name].format(**_PARTS) for name in ("find_series", "make_series"))

REMEMBERED = 200_000
REMEMBERED_CHARACTERS = 1 << 24
"""Of campaigns' ids and names, which may have 500 each."""


_FIELDS = ["from_domain" if name == "domain" else name for name in Series._fields]
_fields_of = attrgetter(*_FIELDS)
_DOMAIN = attrgetter("workspace", "from_domain")
_CAMPAIGN_OF_DOMAIN = attrgetter("workspace", "campaign", "from_domain")
_UNNAMED = (-1, "")
_TAGS_PLACE = Series._fields.index("tags")


def of_message(registration: Registration) -> Series:
    """The series of a message."""
    workspace, campaign, domain, provider, template, tags, mailbox_provider = _fields_of(registration)
    tags = tuple(sorted(set(tags))) if tags else ()
    return Series(workspace, campaign, domain, provider, template, tags, mailbox_provider)


def of_domain(workspace: int, domain: str) -> Series:
    """The series of what a domain received."""
    return Series(workspace, domain=domain)


def overflow(workspace: int) -> Series:
    """The series that stands for all combinations beyond the workspace's limit."""
    return Series._make((workspace, *(() if name == "tags" else OTHER for name in DIMENSIONS)))


class Sender(NamedTuple):
    """Who sent the first message of a series, as most others of it were sent, too. None: nobody knows."""

    usual_from: str | None
    usual_account: str | None


_NO_FIRSTS: Mapping[Series, Registration] = {}


class Dimensions:
    """Remembers what it has made, across flushes and shards; forgets everything when that grows too much."""

    def __init__(self, series_limit: int, counters: metrics.AggregatorMetrics) -> None:
        self._room = Room(series_limit, _count_series, counters.series_overflow)
        self._series: dict[Series, int] = {}
        self.senders: dict[int, Sender] = {}
        """Of the series that are remembered, but for those that stand for all beyond a limit."""
        self._domains: set[tuple[int, str]] = set()
        self._campaigns: dict[tuple[int, str], tuple[int, str]] = {}
        self._characters = 0

    def forget(self) -> None:
        """Remember nothing."""
        self._series, self._domains, self._campaigns, self.senders, self._characters = {}, set(), {}, {}, 0

    async def prepare(
        self, connection: Connection, registrations: list[Registration], events: Iterable[Event]
    ) -> dict[Series, int]:
        """Make what these need. Returns the id of every series they belong to."""
        size = len(self._series) + len(self._domains) + len(self._campaigns)
        if size > REMEMBERED or self._characters > REMEMBERED_CHARACTERS:
            self.forget()
        received = {(e.workspace, e.domain) for e in events if is_alone(e)}
        domains = received.union(map(_DOMAIN, registrations))
        await self._make_domains(connection, {domain for domain in domains if domain[1]})
        await self._make_campaigns(connection, registrations)
        await _claim_campaigns(connection, [r for r in registrations if r.confined and r.campaign])
        firsts = {of_message(r): r for r in reversed(registrations)}
        wanted = firsts.keys() | {of_domain(*domain) for domain in received}
        series = await self.resolve(connection, wanted, firsts)
        await _admit_campaigns(connection, [r for r in registrations if not r.confined and r.campaign])
        return series

    async def _make_domains(self, connection: Connection, domains: set[tuple[int, str]]) -> None:
        fresh = sorted(domains - self._domains)
        if fresh:
            workspaces, names = zip(*fresh, strict=True)
            await connection.execute(_QUERIES["make_domains"], workspaces, names, [uuid7.new() for _ in fresh])
            self._domains.update(fresh)

    async def _make_campaigns(self, connection: Connection, registrations: list[Registration]) -> None:
        named: dict[tuple[int, str], tuple[int, str]] = {}
        for r in registrations:
            if r.campaign:
                # What a confined key calls a campaign is its own name for it.
                name = "" if r.confined else r.campaign_name
                key, naming = (r.workspace, r.campaign), (r.at if name else 0, name)
                if naming > named.get(key, _UNNAMED):
                    named[key] = naming
        named = {key: naming for key, naming in named.items() if naming > self._campaigns.get(key, _UNNAMED)}
        if named:
            rows = [(*key, name, at) for key, (at, name) in sorted(named.items())]
            await connection.execute(_QUERIES["make_campaigns"], *zip(*rows, strict=True))
            self._campaigns.update(named)
            self._characters += sum(len(campaign) + len(name) for (_, campaign), (_, name) in named.items())

    async def resolve(
        self, connection: Connection, wanted: set[Series], firsts: Mapping[Series, Registration] = _NO_FIRSTS
    ) -> dict[Series, int]:
        """The id of each series, made if need be; outside a transaction, for it is remembered.

        firsts: a message of each that may have to be made for messages.
        """
        known = {series: self._series[series] for series in wanted if series in self._series}
        missing = sorted(wanted - known.keys())
        if missing:
            found = await self._find(connection, missing)
            found |= await self._make(connection, [series for series in missing if series not in found], firsts)
            self._series |= found
            known |= found
        return known

    async def _find(self, connection: Connection, series: list[Series]) -> dict[Series, int]:
        rows = await connection.fetch(_FIND, *_columns(series))
        found = [(s, row) for s, row in zip(series, rows, strict=True) if row["id"] is not None]
        self.senders |= {
            row["id"]: Sender(row["usual_from"], row["usual_account"]) for s, row in found if s != overflow(s.workspace)
        }
        return {s: row["id"] for s, row in found}

    async def _make(
        self, connection: Connection, missing: list[Series], firsts: Mapping[Series, Registration]
    ) -> dict[Series, int]:
        """Those that there is room for; the others are the overflow's."""
        shares = await self._room.shares(connection, missing)
        made = [series for share in shares for series in share.fitting]
        made += [overflow(share.workspace) for share in shares if share.beyond]
        found: dict[Series, int] = {}
        if made:
            senders = zip(*(_sender(firsts.get(series)) for series in made), strict=True)
            await connection.execute(_MAKE, *_columns(made), *senders)
            found = await self._find(connection, made)
        for share in shares:
            found |= {series: found[overflow(share.workspace)] for series in share.beyond}
        return found


def _sender(first: Registration | None) -> Sender:
    return Sender(None, None) if first is None else Sender(first.from_address, first.provider_account)


async def _count_series(connection: Connection, workspace: int, most: int) -> int:
    count: int = await connection.fetchval(_QUERIES["count_series"], workspace)
    return count


async def _claim_campaigns(connection: Connection, confined: list[Registration]) -> None:
    """Before their series are there: what has a series already is no longer to be claimed (ADR 0035)."""
    named: dict[tuple[int, str, str], tuple[int, str]] = {}
    for r in confined:
        key, naming = (r.workspace, r.campaign, r.from_domain), (r.at if r.campaign_name else 0, r.campaign_name)
        named[key] = max(naming, named.get(key, naming))
    if named:
        rows = [(*key, name, at) for key, (at, name) in sorted(named.items())]
        await connection.execute(_QUERIES["claim_campaigns"], *zip(*rows, strict=True))


async def _admit_campaigns(connection: Connection, others: list[Registration]) -> None:
    """When their series are there, so that nobody claims the campaign any more."""
    admitted = sorted(set(map(_CAMPAIGN_OF_DOMAIN, others)))
    if admitted:
        await connection.execute(_QUERIES["admit_campaigns"], *zip(*admitted, strict=True))


def _columns(series: list[Series]) -> list[list[object]]:
    columns: list[list[object]] = [list(column) for column in zip(*series, strict=True)]
    columns[_TAGS_PLACE] = [msgspec.json.encode(tags).decode() for tags in columns[_TAGS_PLACE]]
    return columns
