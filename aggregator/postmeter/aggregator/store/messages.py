"""Messages: registered once, found again by every later event."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from operator import attrgetter
from typing import NamedTuple

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.cohorts import Cohorts
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.states import Flag, Key
from postmeter.aggregator.store import packing
from postmeter.aggregator.store.dimensions import Sender, of_message
from postmeter.shared.privacy import ceilings
from postmeter.shared.privacy.levels import Ceilings, Choices, Level, Levels, to_flags
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import Series
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import State
from postmeter.shared.stream.records import Registration

_QUERIES = Queries("postmeter.aggregator.store", "messages.sql")

Name = tuple[int, str, str]
"""(workspace, provider, the provider's id of the message)"""
REPEATER_SECONDS = 60.0
_LEVELS = attrgetter("opens", "clicks")


class Made(NamedTuple):
    """What a message was stored with."""

    series: int
    flags: int
    links: int | None = None


class Row(NamedTuple):
    """A message as it is stored: the columns of its table. None: its series says it, or to_digest (ADR 0070)."""

    workspace: int
    message: bytes
    series: int
    campaign: str | None
    from_address: str | None
    to_hash: str | None
    to_domain: str
    subject: str
    provider: str | None
    provider_account: str | None
    provider_message: str
    template: str | None
    tags: list[str] | None
    created: int
    flags: int
    links: int
    domain: str | None
    recipient_ref: str
    to_digest: bytes | None

    def parameters(self) -> tuple[object, ...]:
        """The same as parameters of a statement."""
        tags = None if self.tags is None else msgspec.json.encode(self.tags).decode()
        return tuple(self._replace(message=UUID(self.message), tags=tags))  # type: ignore[arg-type]


class Repeaters:
    """Workspaces that have registered messages again within the last minute.

    What they register is stored one by one, so that each of them holds up the others once.
    """

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def now(self) -> frozenset[int]:
        """These are they."""
        moment = time.monotonic()
        self._until = {workspace: until for workspace, until in self._until.items() if until > moment}
        return frozenset(self._until)

    def note(self, workspaces: Iterable[int]) -> None:
        """They have done it just now."""
        self._until |= dict.fromkeys(workspaces, time.monotonic() + REPEATER_SECONDS)


class Found(NamedTuple):
    """A message found by its provider's name."""

    key: Key
    series: int
    flags: int

    @property
    def provisional(self) -> bool:
        """Nobody has registered it."""
        return bool(self.flags & Flag.PROVISIONAL)


@dataclass
class LockedMessage:
    """A message that nobody has registered, locked by this transaction."""

    series: int
    flags: int
    created: int
    state: int = State.QUEUED
    sent_at: int | None = None


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


async def may_be_slim(connection: Connection) -> bool:
    """Whether messages may leave out what their series says."""
    return bool(await connection.fetchval(_QUERIES["may_be_slim"]))


async def register(
    connection: Connection,
    registrations: list[Registration],
    series: dict[Series, int],
    horizon: Horizon,
    cohorts: Cohorts,
    said: Mapping[int, Ceilings],
    repeaters: Repeaters,
    also: int = 0,
    *,
    senders: Mapping[int, Sender] | None = None,
) -> tuple[dict[Key, Made], list[Name]]:
    """Store messages, the new ones in `cohorts` too. Returns (what was made, the providers' names of them).

    said: what workspaces have said of levels. repeaters: as they were, and will be. also: flags beside those that say
    what a message carries. senders: of the series whose messages leave out what the series says; None: none may.

    A time of creation out of range becomes the time of receipt, as an event's does: every message has its place
    in the cohorts.
    """
    unique: dict[Key, Registration] = {(r.workspace, r.message): r for r in reversed(registrations)}
    lower = await _lower_levels(connection, unique, said)
    rows = []
    for key, r in unique.items():
        of = of_message(r)
        rows.append(_row(r, of, series[of], horizon.place(r.created, r.at), also | lower.get(key, 0), senders))
    fresh: dict[Key, Made] = {}
    names: list[Name] = []
    for row in await _store(connection, rows, repeaters):
        workspace, message, number = row[:3]
        fresh[workspace, message] = Made(number, row.flags, row.links)
        cohorts.register(workspace, row.created, number)
        if row.provider_message:
            names.append((workspace, unique[workspace, message].provider, row.provider_message))
    return fresh, names


async def _store(connection: Connection, rows: list[Row], repeaters: Repeaters) -> list[Row]:
    """Those of the messages that were not known before. That is nearly always all of them, so it is tried first."""
    slow = repeaters.now()
    stored = [row for row in rows if row.workspace not in slow] if slow else rows
    one_by_one = [row for row in rows if row.workspace in slow] if slow else []
    try:
        async with connection.transaction():
            await packing.copy(connection, "message", packing.MESSAGE, packing.messages(stored))
    except asyncpg.UniqueViolationError:
        stored, one_by_one = [], rows
    if one_by_one:
        columns = zip(*(row.parameters() for row in one_by_one), strict=True)
        made = {
            (one["workspace"], one["id"].bytes) for one in await connection.fetch(_QUERIES["make_messages"], *columns)
        }
        repeaters.note({row.workspace for row in one_by_one if (row.workspace, row.message) not in made})
        stored += [row for row in one_by_one if (row.workspace, row.message) in made]
    return stored


async def _lower_levels(
    connection: Connection, registrations: Mapping[Key, Registration], said: Mapping[int, Ceilings]
) -> dict[Key, int]:
    """The levels of messages, where these are not full, as `message.flags` holds them: as they were decided, or lower
    where workspace or recipient have said less since.
    """
    if not said and set(map(_LEVELS, registrations.values())) == {(Level.FULL, Level.FULL)}:
        return {}
    asked = {key: r for key, r in registrations.items() if r.workspace in said}
    decided = {
        key: Levels(Level(r.opens), Level(r.clicks))
        for key, r in registrations.items()
        if r.opens or r.clicks or key in asked
    }
    chosen = await ceilings.choices(connection, ((r.workspace, r.to_hash) for r in asked.values() if r.to_hash))
    for key, r in asked.items():
        choice = chosen.get((r.workspace, r.to_hash), Choices())
        decided[key] = said[r.workspace].decide(r.from_domain, decided[key], choice).levels
    return {key: to_flags(levels) for key, levels in decided.items()}


def believed(names: list[Name], registrations: list[Registration]) -> list[Name]:
    """Those of these registrations' names that were told by keys which may tell of every domain."""
    if not any(map(attrgetter("confined"), registrations)):
        return names
    told = {(r.workspace, r.provider, r.provider_message) for r in registrations if not r.confined}
    return [name for name in names if name in told]


# As numbers: what is done with a Flag takes twenty times as long.
_CONFINED, _PROVISIONAL, _ERASED = int(Flag.CONFINED), int(Flag.PROVISIONAL), int(Flag.ERASED)
_FLAGS = {
    (opens, clicks, confined): int(opens * Flag.TRACKS_OPENS | clicks * Flag.TRACKS_CLICKS | confined * Flag.CONFINED)
    for opens, clicks, confined in product((False, True), repeat=3)
}
"""Of what tracks opens, tracks clicks, and was registered by a confined key."""


def _row(
    r: Registration, of: Series, series: int, created: int, also: int, senders: Mapping[int, Sender] | None
) -> Row:
    """of: the series that fits. series: its number, or that of the one beyond the limit, which has no sender."""
    flags = also | _FLAGS[r.tracks_opens, r.tracks_clicks, r.confined]
    if not r.to_hash and not also & _PROVISIONAL:
        flags |= _ERASED  # who registers names the recipient, unless that was erased since
    sender = digest = None
    if senders is not None:
        sender, digest = senders.get(series), _digest(r.to_hash)
    is_whole = sender is None
    row = (
        r.workspace,
        r.message,
        series,
        r.campaign if is_whole else None,
        None if sender is not None and r.from_address == sender.usual_from else r.from_address,
        r.to_hash if digest is None else None,
        r.to_domain,
        r.subject,
        r.provider if is_whole else None,
        None if sender is not None and r.provider_account == sender.usual_account else r.provider_account,
        r.provider_message,
        r.template if is_whole else None,
        r.tags if is_whole or tuple(r.tags) != of.tags else None,
        created,
        flags,
        r.links,
        (r.from_domain or None) if flags & (_PROVISIONAL | _CONFINED) else None,
        r.recipient_ref,
        digest,
    )
    return tuple.__new__(Row, row)  # what `Row` calls, but for every message of a flush


def _digest(to_hash: str) -> bytes | None:
    """The bytes whose hexadecimal digits these are; None: these are something else."""
    try:
        digest = bytes.fromhex(to_hash)
    except ValueError:
        return None
    return digest if digest and digest.hex() == to_hash else None


async def find_named(connection: Connection, names: Iterable[Name]) -> Named:
    """The messages that providers call so."""
    found, wanted = Named(), sorted(set(names))
    if not wanted:
        return found
    for r in await connection.fetch(_QUERIES["find_provider_messages"], *zip(*wanted, strict=True)):
        name = (r["workspace"], r["provider"], r["provider_message"])
        found.add(name, Found((r["workspace"], r["id"].bytes), r["series"], r["flags"]), r["confined_to"])
    return found


async def hold_unregistered(connection: Connection, keys: Iterable[Key]) -> dict[Key, LockedMessage]:
    """Lock those of the messages that are there and that nobody has registered. One call per transaction."""
    wanted = set(keys)
    if not wanted:
        return {}
    rows = await connection.fetch(_QUERIES["hold_unregistered"], *columns(wanted))
    return {
        (row["workspace"], row["id"].bytes): LockedMessage(
            row["series"], row["flags"], row["created_at"], row["state"], row["sent_at"]
        )
        for row in rows
    }


def columns(keys: Iterable[Key]) -> tuple[list[int], list[UUID]]:
    """Keys as two arrays."""
    pairs = list(keys)
    return [workspace for workspace, _ in pairs], [UUID(message) for _, message in pairs]
