"""Messages: registered once, found again by every later event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.cohorts import Cohorts
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.states import Flag, Key
from postmeter.aggregator.store.dimensions import of_message
from postmeter.shared.privacy import ceilings
from postmeter.shared.privacy.levels import Ceilings, Choices, Level, Levels, to_flags
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import Series
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import Registration

_QUERIES = Queries("postmeter.aggregator.store", "messages.sql")

Name = tuple[int, str, str]
"""(workspace, provider, the provider's id of the message)"""


class Made(NamedTuple):
    """What a message was stored with."""

    series: int
    flags: int


class Found(NamedTuple):
    """A message found by its provider's name."""

    key: Key
    series: int
    flags: int

    @property
    def provisional(self) -> bool:
        """Nobody has registered it."""
        return bool(self.flags & Flag.PROVISIONAL)


class Named:
    """Messages found by their providers' names.

    One that a confined key registered is found only for what is told of its own domain: who knows another's name at
    the provider does not get its events (ADR 0035).
    """

    def __init__(self) -> None:
        self._of_all: dict[Name, Found] = {}
        self._of_domain: dict[tuple[Name, str], Found] = {}

    def add(self, name: Name, found: Found, domain: str | None = None) -> None:
        """domain: the only one that it is found for; None: all."""
        if domain is None:
            self._of_all[name] = found
        else:
            self._of_domain[name, domain] = found

    def of(self, name: Name, domain: str) -> Found | None:
        """The message that an event is of which tells of the domain ("": of none)."""
        found = self._of_all.get(name)
        if found is not None and not found.provisional:
            return found
        return self._of_domain.get((name, domain)) or found

    @property
    def provisional(self) -> dict[Name, Key]:
        """Those that nobody has registered."""
        return {name: found.key for name, found in self._of_all.items() if found.provisional}

    def forget(self, names: Iterable[Name]) -> None:
        """These have gone."""
        for name in names:
            del self._of_all[name]

    def update(self, others: Named) -> None:
        """What was found later holds."""
        self._of_all |= others._of_all
        self._of_domain |= others._of_domain


async def register(
    connection: Connection,
    registrations: list[Registration],
    series: dict[Series, int],
    horizon: Horizon,
    cohorts: Cohorts,
    said: Mapping[int, Ceilings],
    also: int = 0,
) -> tuple[dict[Key, Made], list[Name]]:
    """Store messages, the new ones in `cohorts` too. Returns (what was made, the providers' names of them).

    said: what workspaces have said of levels. also: flags beside those that say what a message carries.

    A time of creation out of range becomes the time of receipt, as an event's does: every message has its place
    in the cohorts.
    """
    unique: dict[Key, Registration] = {}
    for r in registrations:
        unique.setdefault((r.workspace, r.message), r)
    created = {key: horizon.place(r.created, r.at) for key, r in unique.items()}
    levels = await levels_of(connection, unique, said)
    rows = await connection.fetch(
        _QUERIES["make_messages"],
        *zip(
            *(_row(r, series[of_message(r)], created[key], also | to_flags(levels[key])) for key, r in unique.items()),
            strict=True,
        ),
    )
    fresh = {(row["workspace"], row["id"].bytes): Made(row["series"], row["flags"]) for row in rows}
    for key, of in fresh.items():
        cohorts.register(key[0], created[key], of.series)
    names = [(r["workspace"], r["provider"], r["provider_message"]) for r in rows if r["provider_message"]]
    return fresh, names


async def levels_of(
    connection: Connection, registrations: Mapping[Key, Registration], said: Mapping[int, Ceilings]
) -> dict[Key, Levels]:
    """The levels of messages: as they were decided, or lower where workspace or recipient have said less since."""
    decided = {key: Levels(Level(r.opens), Level(r.clicks)) for key, r in registrations.items()}
    asked = {key: r for key, r in registrations.items() if r.workspace in said}
    chosen = await ceilings.choices(connection, ((r.workspace, r.to_hash) for r in asked.values() if r.to_hash))
    for key, r in asked.items():
        choice = chosen.get((r.workspace, r.to_hash), Choices())
        decided[key] = said[r.workspace].decide(r.from_domain, decided[key], choice).levels
    return decided


def believed(registrations: Iterable[Registration]) -> set[Name]:
    """The providers' names that were told by keys which may tell of every domain."""
    return {(r.workspace, r.provider, r.provider_message) for r in registrations if not r.confined}


def _row(r: Registration, series: int, created: int, also: int) -> tuple[object, ...]:
    flags = Flag.TRACKS_OPENS * r.tracks_opens | Flag.TRACKS_CLICKS * r.tracks_clicks | also
    flags |= Flag.CONFINED * r.confined
    if not r.to_hash and not also & Flag.PROVISIONAL:
        flags |= Flag.ERASED  # who registers names the recipient, unless that was erased since
    return (
        r.workspace,
        UUID(r.message),
        series,
        r.campaign,
        r.from_address,
        r.to_hash,
        r.to_domain,
        r.subject,
        r.provider,
        r.provider_account,
        r.provider_message,
        r.template,
        msgspec.json.encode(r.tags).decode(),
        created,
        int(flags),
        r.links,
        (r.from_domain or None) if flags & (Flag.PROVISIONAL | Flag.CONFINED) else None,
        r.recipient_ref,
    )


async def find_named(connection: Connection, names: Iterable[Name]) -> Named:
    """The messages that providers call so."""
    found, wanted = Named(), sorted(set(names))
    if not wanted:
        return found
    for r in await connection.fetch(_QUERIES["find_provider_messages"], *zip(*wanted, strict=True)):
        name = (r["workspace"], r["provider"], r["provider_message"])
        found.add(name, Found((r["workspace"], r["id"].bytes), r["series"], r["flags"]), r["confined_to"])
    return found
