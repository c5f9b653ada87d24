"""What was erased does not come back: records that were on their way, and providers that still report it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

import msgspec
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.states import Flag, Key
from postmeter.aggregator.store.dictionary import digest
from postmeter.aggregator.stream.batches import Rejected
from postmeter.aggregator.stream.intake import Intake
from postmeter.aggregator.unregistered.resolution import Prepared, Resolved
from postmeter.aggregator.upkeep.erasure.step import QUERIES
from postmeter.shared.privacy import erasures
from postmeter.shared.privacy.levels import Level
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import (
    Consent,
    CustomEvent,
    Event,
    Hit,
    Purchase,
    Record,
    Registration,
    WaitingEvent,
    WaitingHit,
    is_addressed,
)

INT4 = 2**31
ENGAGED = (EventType.OPENED, EventType.CLICKED)
Digest = tuple[int, bytes]
"""(workspace, digest)"""


@dataclass
class Erased:
    """What of a flush's records was erased. workspaces: those that have erased anything of late; late: events, by their
    identity, of who was erased: they count for a message that is there, and make none. awaited: by the digests of their
    names, the messages that are registered now.
    """

    workspaces: set[int] = field(default_factory=set)
    late: set[int] = field(default_factory=set)
    awaited: dict[Digest, bytes] = field(default_factory=dict)
    _at: dict[Digest, int] = field(default_factory=dict)
    _message: dict[Digest, bytes] = field(default_factory=dict)

    def recipient(self, workspace: int, to_hash: str, at: int) -> bool:
        """Whether a recipient was erased after this time."""
        if workspace not in self.workspaces or not to_hash:
            return False
        erased = self._at.get((workspace, erasures.of_recipient(workspace, to_hash)))
        return erased is not None and at <= erased

    def message(self, event: Event) -> bytes | None:
        """The nameless message that a provider calls by this name; of what waits under a name's digest, any message."""
        if event.workspace not in self.workspaces or not (name := _told_name(event)):
            return None
        place = (event.workspace, name)
        return (self.awaited.get(place) if event.message else None) or self._message.get(place)

    async def look_up(self, connection: Connection, sought: set[Digest]) -> None:
        """Read which of these were erased."""
        if not sought:
            return
        for row in await connection.fetch(QUERIES["erased"], *zip(*sorted(sought), strict=True)):
            place = (row["workspace"], row["digest"])
            if row["message"] is None:
                self._at[place] = row["at"]
            else:
                self._message[place] = row["message"].bytes

    def named_anew(self, names: Iterable[tuple[Digest, bytes]]) -> None:
        """Note that these names belong to these messages, if they are others than before."""
        for place, message in names:
            if self._message.get(place) != message:
                self._message.pop(place, None)

    def bury(self, name: Digest, message: bytes) -> None:
        """Note that this name belongs to a nameless message."""
        self._message[name] = message


class Clicks(NamedTuple):
    """Hits and events that are clicks. haunted: of which workspaces anything was erased of late."""

    hits: list[Hit]
    events: list[Event]
    haunted: set[int]


async def withhold(connection: Connection, found: Intake, prepared: Prepared) -> Erased:
    """Take out of records what identifies who was erased, before anything is done with them.

    Inside the transaction that counts them, and after its first change: an erasure waits for those that began before.
    """
    erased = Erased()
    told: tuple[Sequence[Record | bytes], ...] = (
        *(found.registrations, found.events, found.purchases, found.custom, found.consents),
        [one.record for one in found.rejected if one.workspace is not None and 0 < one.workspace < INT4],
    )
    workspaces = {one.workspace for records in told[1:] for one in records if not isinstance(one, bytes)}
    workspaces.update(map(attrgetter("workspace"), found.registrations))
    erased.workspaces = await _haunted(connection, workspaces)
    if not erased.workspaces:
        return erased
    told_of = [one for records in (*told, list(prepared.drafts.values())) for one in records]
    digests = (_digests(one) for one in told_of if not isinstance(one, bytes) and one.workspace in erased.workspaces)
    await erased.look_up(connection, {digest for found in digests for digest in found})
    await _withhold_registrations(connection, found, erased)
    found.purchases = [_purchase(one, erased) for one in found.purchases]
    found.consents = await _kept_consents(connection, found.consents, erased)
    found.custom = [_custom_event(one, erased) for one in found.custom]
    found.events = [kept for one in found.events if (kept := _event(one, erased)) is not None]
    found.rejected = [one for one in found.rejected if not _is_of_erased(one, erased)]
    for name, draft in list(prepared.drafts.items()):
        if erased.recipient(draft.workspace, draft.to_hash, draft.created):
            del prepared.drafts[name]
    return erased


async def withhold_released(connection: Connection, released: list[Record], erased: Erased) -> list[Record]:
    """The same for what waited for messages that the transaction has registered."""
    told = [one for one in released if isinstance(one, Event) and one.workspace in erased.workspaces]
    if not told:
        return released
    await erased.look_up(connection, {digest for one in told for digest in _digests(one)})
    kept = (_event(one, erased) if isinstance(one, Event) else one for one in released)
    return [one for one in kept if one is not None]


async def clicks(connection: Connection, found: Intake) -> Clicks:
    """The clicks whose URLs may be stored: those of nameless messages are, who knows, made for one recipient."""
    hits = list(filter(attrgetter("url"), found.hits))
    events = [event for event in found.events if event.url and event.type == EventType.CLICKED]
    told_of: list[Hit | Event] = [*hits, *events]
    erased = Erased(await _haunted(connection, {one.workspace for one in told_of}))
    if not erased.workspaces:
        return Clicks(hits, events, erased.workspaces)
    told = [event for event in events if event.workspace in erased.workspaces]
    await erased.look_up(connection, {digest for event in told for digest in _digests(event)})
    keys = {(one.workspace, one.message) for one in told_of if one.workspace in erased.workspaces and one.message}
    nameless = await _nameless_of(connection, keys)
    events = [one for one in events if (kept := _event(one, erased)) is not None and kept.url]
    return Clicks(
        [one for one in hits if (one.workspace, one.message) not in nameless],
        [one for one in events if (one.workspace, one.message) not in nameless],
        erased.workspaces,
    )


def of_haunted(clicks: Clicks) -> list[Hit | Event]:
    """Those whose links may lose their URLs."""
    if not clicks.haunted:
        return []
    told: list[Hit | Event] = [*clicks.hits, *clicks.events]
    return [one for one in told if one.workspace in clicks.haunted]


async def strip(connection: Connection, resolved: Resolved, erased: Erased) -> None:
    """What is told of nameless messages counts without its texts; their opens and clicks are off (ADR 0059)."""
    if erased.late:
        unknown = (_waiting(one) if id(one) in erased.late else one for one in resolved.unknown)
        resolved.unknown = [one for one in unknown if one is not None]
    nameless = {key for key, flags in resolved.flags.items() if flags & Flag.ERASED}
    if nameless:
        told = [*resolved.hits, *resolved.events]
        waited = (one for key, one, _ in told if key in nameless and isinstance(one, WaitingHit | WaitingEvent))
        await suspect(connection, waited)
        resolved.events = [
            (key, _without_texts(event) if key in nameless else event, series) for key, event, series in resolved.events
        ]


async def suspect(connection: Connection, waited: Iterable[Record]) -> None:
    """What waited is not counted after all: the links that were made for its URLs may be of nobody else."""
    urls = sorted({(one.workspace, one.url) for one in waited if isinstance(one, Hit | Event) and one.url})
    if urls:
        digests = [digest(url) for _, url in urls]
        await connection.execute(QUERIES["suspect_links"], [workspace for workspace, _ in urls], digests)


async def _haunted(connection: Connection, workspaces: set[int]) -> set[int]:
    """The workspaces that have erased anything lately."""
    if not workspaces:
        return set()
    return {row["workspace"] for row in await connection.fetch(QUERIES["haunted"], sorted(workspaces))}


async def _nameless_of(connection: Connection, keys: set[Key]) -> set[Key]:
    """Those of the messages that were erased."""
    if not keys:
        return set()
    columns = [workspace for workspace, _ in keys], [UUID(message) for _, message in keys]
    rows = await connection.fetch(QUERIES["nameless"], *columns)
    return {(row["workspace"], row["id"].bytes) for row in rows}


async def _withhold_registrations(connection: Connection, found: Intake, erased: Erased) -> None:
    """Those of who was erased are stored without a name; one of a name that is erased is a new message."""
    kept: list[Registration] = []
    buried: list[tuple[int, bytes, int, UUID]] = []
    named: list[tuple[int, str, str, UUID]] = []
    anew: list[tuple[Digest, bytes]] = []
    for one in found.registrations:
        if one.workspace in erased.workspaces and one.provider_message:
            erased.awaited[one.workspace, _name(one)] = one.message
        if not erased.recipient(one.workspace, one.to_hash, one.at):
            kept.append(one)
            if one.workspace in erased.workspaces and one.provider_message:
                anew.append(((one.workspace, _name(one)), one.message))
            continue
        kept.append(_nameless(one))
        if one.provider_message:
            buried.append((one.workspace, _name(one), one.at, UUID(one.message)))
            named.append((one.workspace, one.provider, one.provider_message, UUID(one.message)))
    found.registrations = kept
    if anew:
        rows = [(*place, UUID(message)) for place, message in sorted(anew)]
        await connection.execute(QUERIES["named_anew"], *zip(*rows, strict=True))
        erased.named_anew(anew)
    if buried:
        await connection.execute(QUERIES["bury"], *zip(*buried, strict=True))
        for workspace, digest, _, message in buried:
            erased.bury((workspace, digest), message.bytes)
    for workspace, *name in named:  # what came before it and names it; there are seldom any
        await connection.execute(QUERIES["point_waiting"], workspace, *([part] for part in name))


async def _kept_consents(connection: Connection, found: list[Consent], erased: Erased) -> list[Consent]:
    """Without those of who was erased since, or from the pages of messages that are nobody's any more."""
    keys = {(one.workspace, one.message) for one in found if one.workspace in erased.workspaces and one.message}
    nameless = await _nameless_of(connection, keys)
    return [
        one
        for one in found
        if (one.workspace, one.message) not in nameless
        and not erased.recipient(one.workspace, one.to_hash, one.received)
    ]


def _nameless(one: Registration) -> Registration:
    return msgspec.structs.replace(
        one, to_hash="", to_domain="", subject="", provider_message="", recipient_ref="",
        opens=Level.OFF, clicks=Level.OFF,
    )  # fmt: skip


def _purchase(one: Purchase, erased: Erased) -> Purchase:
    if not erased.recipient(one.workspace, one.contact, one.received):
        return one
    return msgspec.structs.replace(one, contact="", order="", items="[]", digest=b"")


def _custom_event(one: CustomEvent, erased: Erased) -> CustomEvent:
    if not erased.recipient(one.workspace, one.contact, one.received):
        return one
    return msgspec.structs.replace(one, contact="", properties="{}")


def _event(one: Event, erased: Erased) -> Event | None:
    """An event as it may be counted; None: not at all."""
    mail = one.mail
    if (message := erased.message(one)) is not None:
        if one.type in ENGAGED:
            return None
        erased.late.add(id(kept := _without_texts(msgspec.structs.replace(one, message=message, provider_message=""))))
        return kept
    # What happened before the erasure is of mail of before, whenever its provider tells of it.
    if mail is None or not erased.recipient(one.workspace, mail.to_hash, min(one.at, one.received)):
        return one
    if is_addressed(one):
        return None
    erased.late.add(id(kept := _without_texts(one)))
    return kept


def _waiting(one: Hit | Event) -> Event | None:
    """An event of who was erased and of a message that is not there: its registration may be on its way. It waits under
    the digest of the provider's name.
    """
    if not isinstance(one, Event) or one.type in ENGAGED:
        return None
    return one if one.message else msgspec.structs.replace(one, message=_name(one), provider_message="")


def _without_texts(one: Event) -> Event:
    mail = one.mail
    if mail is not None:
        mail = msgspec.structs.replace(mail, to_hash="", to_domain="", subject="")
    return msgspec.structs.replace(one, reason="", url="", user_agent=b"", ip="", mail=mail)


def _is_of_erased(one: Rejected, erased: Erased) -> bool:
    match one.record:
        case Registration() as record:
            return erased.recipient(record.workspace, record.to_hash, record.at)
        case Purchase() | CustomEvent() as record:
            return erased.recipient(record.workspace, record.contact, record.received)
        case Event() as event:
            known = event.mail is not None and erased.recipient(event.workspace, event.mail.to_hash, event.received)
            return known or erased.message(event) is not None
    return False


def _digests(one: Record) -> Iterator[Digest]:
    """Whose a record is, and by which name a provider tells of it."""
    match one:
        case Registration():
            told, name = one.to_hash, one.provider_message
        case Purchase() | CustomEvent():
            told, name = one.contact, ""
        case Consent():
            told, name = one.to_hash, ""
        case Event():
            told, name = one.mail.to_hash if one.mail is not None else "", ""
            if place := _told_name(one):
                yield one.workspace, place
        case _:
            return
    if told:
        yield one.workspace, erasures.of_recipient(one.workspace, told)
    if name and isinstance(one, Registration):
        yield one.workspace, _name(one)


def _told_name(one: Event) -> bytes | None:
    """The digest of the provider's name, where nothing else names an event's message; one that waits may have that."""
    if one.message:
        return one.message if type(one) is WaitingEvent else None
    return _name(one) if one.provider_message else None


def _name(one: Event | Registration) -> bytes:
    return erasures.of_name(one.workspace, one.provider, one.provider_message)
