"""Events, and choices on its page, that came before their message: kept in a bounded table, counted when it comes.

A flush that registers a message takes out what waits for it. Two aggregators that park and register at the
same time cannot see each other; what slips through there is found by the sweep.
"""

from __future__ import annotations

import time
from itertools import chain
from operator import itemgetter

import msgspec
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator import metrics
from postmeter.aggregator.fold import restricted
from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.effects import HIT_ENGAGEMENTS
from postmeter.aggregator.fold.moments import HOUR
from postmeter.aggregator.fold.states import Key
from postmeter.aggregator.store.messages import Name
from postmeter.aggregator.stream.batches import Batch, Rejected, reject, unpack
from postmeter.aggregator.stream.reader import Entry
from postmeter.shared.privacy.levels import Level
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import records
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import MARK_BITS, Consent, Event, Hit, WaitingEvent, WaitingHit

_QUERIES = Queries("postmeter.aggregator.unregistered", "waiting.sql")

RECOUNT_SECONDS = 10.0
SWEEP_LIMIT = 5000
"""Events that a sweep looks at in one transaction."""
Place = tuple[int, int]
"""Since when an event waits, and its number: the sweep has seen all before it."""
BEGINNING: Place = (0, 0)
Early = Hit | Event | Consent
"""The kinds of records that can come before their message."""


class WaitingRoom:
    """Parks events, at most `limit` per workspace (counted anew every ten seconds, so it may go a little over)."""

    def __init__(self, limit: int, counters: metrics.AggregatorMetrics) -> None:
        self._limit = limit
        self._counters = counters
        self._counted: dict[int, tuple[float, int]] = {}

    async def park(self, connection: Connection, unknown: list[Early], changes: Changes) -> list[Rejected]:
        """Store these; returns those for which there is no room.

        They wait for weeks: they are judged now, by `changes`, and keep no more of an address than the history does.
        """
        by_workspace: dict[int, list[Early]] = {}
        for record in unknown:
            by_workspace.setdefault(record.workspace, []).append(record)
        refused: list[Rejected] = []
        rows = []
        for workspace, found in by_workspace.items():
            room = await self._room(connection, workspace)
            found = [kept for record in found if (kept := _judged(record, changes)) is not None]
            rows += [_row(record) for record in found[:room]]
            refused += [reject(record, "waiting room full", b"") for record in found[room:]]
            when, held = self._counted[workspace]
            self._counted[workspace] = (when, held + min(room, len(found)))
        if rows:
            await connection.execute(_QUERIES["park"], *zip(*rows, strict=True))
            self._counters.waiting.labels("parked").inc(len(rows))
        return refused

    async def _room(self, connection: Connection, workspace: int) -> int:
        when, held = self._counted.get(workspace, (0.0, 0))
        if not when or time.monotonic() - when > RECOUNT_SECONDS:
            held = await connection.fetchval(_QUERIES["count_waiting"], workspace, self._limit)
            self._counted[workspace] = (time.monotonic(), held)
        return max(0, self._limit - held)

    async def release(self, connection: Connection, messages: list[Key], names: list[Name]) -> Batch:
        """Take out what waits for messages that have just been registered: a batch without an id."""
        packed: list[bytes] = []
        workspaces = set(map(itemgetter(0), chain[Key | Name](messages, names)))
        rows = await connection.fetch(_QUERIES["awaited"], sorted(workspaces)) if workspaces else []
        by_id = {row["workspace"] for row in rows if row["by_id"]}
        by_name = {row["workspace"] for row in rows if row["by_name"]}
        messages = [key for key in messages if key[0] in by_id] if by_id else []
        names = [name for name in names if name[0] in by_name] if by_name else []
        if messages:
            ids = [UUID(message) for _, message in messages]
            rows = await connection.fetch(_QUERIES["release_messages"], [workspace for workspace, _ in messages], ids)
            packed += [row["record"] for row in rows]
        if names:
            rows = await connection.fetch(_QUERIES["release_provider_messages"], *zip(*sorted(names), strict=True))
            packed += [row["record"] for row in rows]
        return self._released(packed)

    async def sweep(
        self, connection: Connection, younger_than: float, behind: Place, most: int
    ) -> tuple[Batch, Place | None]:
        """Look at the next `most` of those that are younger than that many seconds, and take out those whose message is
        known now. Also returns behind which to go on; None: that was the last.
        """
        rows = await connection.fetch(_QUERIES["look_through"], younger_than, *behind, most)
        known = [row["id"] for row in rows if row["known"]]
        taken = await connection.fetch(_QUERIES["take_known"], known) if known else []
        last = (rows[-1]["since"], rows[-1]["id"]) if len(rows) == most else None
        return self._released([row["record"] for row in taken]), last

    def _released(self, packed: list[bytes]) -> Batch:
        if packed:
            self._counters.waiting.labels("released").inc(len(packed))
        together = unpacked(packed)
        if not together.rejected:
            return together
        # One row's bytes may make the others unreadable, which are as they were stored.
        alone = [unpacked([row]) for row in packed]
        together.records = [record for one in alone for record in one.records]
        together.rejected = [rejected for one in alone for rejected in one.rejected]
        return together


def unpacked(rows: list[bytes]) -> Batch:
    """The records of rows, and those that can no longer be read or counted."""
    return unpack(Entry(b"", b"", records.join(rows)))


def _judged(record: Early, changes: Changes) -> Early | None:
    """As it waits; None: nothing of it may be kept."""
    if isinstance(record, WaitingHit | WaitingEvent | Consent):
        return record
    given = msgspec.structs.asdict(record) | {"ip": changes.network(record.ip) or ""}
    if isinstance(record, Event) and record.type not in HIT_ENGAGEMENTS:
        return WaitingEvent(**given)
    kind = restricted.kind_of(record) if isinstance(record, Hit) else EventType(record.type)
    level = restricted.level_of(kind, record.workspace, 0, changes.said)
    if isinstance(record, Hit):
        level = max(level, Level(min(record.mark >> MARK_BITS, Level.OFF)))
    if level is Level.OFF:
        changes.withheld[level] += 1
        return None
    verdict, why = restricted.judged(changes, kind, record)
    given |= {"verdict": int(verdict), "verdict_reason": why or ""}
    if level is not Level.FULL:
        at = record.at - record.at % HOUR
        given |= {"user_agent": b"", "ip": "", "at": at}
        if isinstance(record, Event):
            given |= {"received": at, "claimed": None}
    return WaitingHit(**given) if isinstance(record, Hit) else WaitingEvent(**given)


def _row(record: Early) -> tuple[object, ...]:
    message = UUID(record.message) if record.message else None
    named = isinstance(record, Event) and message is None
    name = (record.provider, record.provider_message) if named and isinstance(record, Event) else ("", "")
    to_hash = record.mail.to_hash if isinstance(record, Event) and record.mail and records.is_addressed(record) else ""
    return (record.workspace, message, *name, records.encode(record), to_hash)
