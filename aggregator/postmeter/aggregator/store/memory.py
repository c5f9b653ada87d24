"""What this process knows of the messages that it counts, and the locks by which what it knows stays true (ADR 0049).

Each message has one writer at a time: whoever holds its slot's row. A writer that finds that another process wrote last
forgets what it knew of the slot; so nobody asks Postgres what is new about a message that it has just counted.

Whoever holds a slot changes what is known of its messages in place (ADR 0055). That is right if it commits; if it does
not, the slot is forgotten, whatever was changed.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import chain
from operator import attrgetter

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.errors import OutOfStep
from postmeter.aggregator.fold.rows import ENGAGEMENT
from postmeter.aggregator.fold.states import FORGOTTEN, PLAIN, Key, Known, asked
from postmeter.aggregator.store import packing
from postmeter.aggregator.store.messages import Made
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.streams import SLOTS, slot_of

_QUERIES = Queries("postmeter.aggregator.store", "memory.sql")
_SERIES, _SLOT, _FLAGS = attrgetter("series"), attrgetter("slot"), attrgetter("flags")


class Memory:
    """Of the last `size` to twice as many messages that were counted, fewer where they have more clicks than that.

    Shared by all shards of the process. Each slot has an era, which ends when what is known of the slot is forgotten.
    turnovers: how often the older half was let go.
    """

    def __init__(self, size: int) -> None:
        self._writer = uuid.uuid4().hex
        self._size = max(1, size)
        self._young: dict[Key, Known] = {}
        self._old: dict[Key, Known] = {}
        self._clicks = 0
        self.turnovers = 0
        self.eras = [0] * SLOTS
        self._locked = [0] * SLOTS
        self._in_hand = [False] * SLOTS

    @asynccontextmanager
    async def transaction(self, connection: Connection) -> AsyncIterator[Transaction]:
        """A transaction; what it learns is known when it is committed."""
        held = Transaction(self, connection)
        try:
            async with connection.transaction():
                yield held
        except BaseException:
            self._release(held, committed=False)
            raise
        self._release(held, committed=not held.spoilt)

    @asynccontextmanager
    async def trial(self, connection: Connection) -> AsyncIterator[Transaction]:
        """A transaction of which nothing stays."""
        held = Transaction(self, connection)
        trial = connection.transaction()
        await trial.start()
        try:
            yield held
        finally:
            try:
                await trial.rollback()
            finally:
                self._release(held, committed=False)

    def get(self, key: Key) -> Known | None:
        """What is known of a message."""
        return self.all_of((key,)).get(key)

    def all_of(self, keys: Iterable[Key]) -> dict[Key, Known]:
        """What is known of these messages."""
        young, old, eras = self._young, self._old, self.eras
        found: dict[Key, Known] = {}
        for key in keys:
            known = young.get(key)
            if known is None:
                known = old.get(key)
                if known is None:
                    continue
                known.clicks = None  # they have grown old: of those, no more than of messages are to be kept
                young[key] = known  # so that what is asked for stays
            if known.era == eras[known.slot]:
                found[key] = known
        return found

    def forget(self) -> None:
        """Nothing that is known now is believed any more."""
        self.eras[:] = [era + 1 for era in self.eras]

    def turns(self) -> list[int | None]:
        """By slot, how often it was locked here; None: a transaction of this process holds it, or may still commit."""
        return [None if in_hand else turn for turn, in_hand in zip(self._locked, self._in_hand, strict=True)]

    async def lock(self, held: Transaction, slots: set[int]) -> None:
        """Hold these slots until the transaction ends. Slots are locked once in a transaction, in their order."""
        rows = await held.connection.fetch(_QUERIES["lock"], sorted(slots))
        others = [row["slot"] for row in rows if row["writer"] != self._writer]
        if others:
            await held.connection.execute(_QUERIES["take"], others, self._writer)
        for slot in slots:
            if self._in_hand[slot]:
                self.eras[slot] += 1  # committed just now, or not; we have not heard yet
            self._locked[slot] += 1
            self._in_hand[slot] = True
            held.turns[slot] = self._locked[slot]
        for slot in others:
            self.eras[slot] += 1
        held.others.update(others)

    def _release(self, held: Transaction, *, committed: bool) -> None:
        # Of a slot that was locked again meanwhile the next holder has made sure itself.
        ours = {slot for slot, turn in held.turns.items() if self._locked[slot] == turn}
        self._clicks += held.remembered
        for slot in ours:
            if committed:
                self._in_hand[slot] = False
            else:  # and it stays in hand: where the commit's answer was lost, Postgres may be at it still
                self.eras[slot] += 1
        if not committed:
            return
        learnt, eras = held.learnt, self.eras
        if len(ours) < len(held.turns) or None in map(_SERIES, learnt.values()):
            learnt = {key: one for key, one in learnt.items() if one.slot in ours and one.series is not None}
        for known in learnt.values():
            known.era = eras[known.slot]
        self._young.update(learnt)
        if len(self._young) > self._size or self._clicks > self._size:
            self._young, self._old, self._clicks = {}, self._young, 0
            self.turnovers += 1


class Transaction:
    """What a transaction looks up, holds and learns of messages.

    also: slots to be held beside those of messages. turns: by slot held, how often it was locked here. others: those
    of another process before. learnt: what was not remembered before, and will be once this is committed. spoilt: part
    of the work was rolled back after all, so of what is held nothing is known any more. flags: of messages that were
    looked up, where they are not PLAIN. remembered: clicks that it adds to what is known of messages.
    """

    def __init__(self, memory: Memory, connection: Connection) -> None:
        self.connection = connection
        self.also: set[int] = set()
        self.turns: dict[int, int] = {}
        self.others: set[int] = set()
        self.learnt: dict[Key, Known] = {}
        self.spoilt = False
        self.remembered = 0
        self._memory = memory
        self._turnovers = memory.turnovers
        self._found: dict[Key, Known] = {}
        self._loaded: dict[Key, Known] = {}
        self._loaded_at: dict[int, int | None] = {}
        self._created: dict[Key, Known] = {}
        self.flags: dict[Key, int] = {}

    def create(self, made: Mapping[Key, Made]) -> None:
        """These messages were made by this transaction."""
        for key, of in made.items():
            series, flags, links = of
            self._created[key] = Known(series, None, None, slot_of(*key), FORGOTTEN, asked(flags), None, links)

    async def series(self, keys: Iterable[Key]) -> dict[Key, int]:
        """The series of those messages that are registered. To be asked before any slot is held."""
        wanted, created = set(keys), self._created
        known = self._memory.all_of(wanted)
        self._found |= known
        if created:
            known |= {key: created[key] for key in wanted.difference(known) if key in created}
        missing = list(wanted.difference(known))
        if missing:
            turns = self._memory.turns()
            loaded = await load(self.connection, missing)
            for slot in set(map(_SLOT, loaded.values())):
                self._loaded_at.setdefault(slot, turns[slot])
            self._loaded |= loaded
            known |= loaded
        if set(map(_FLAGS, known.values())) != {PLAIN}:
            self.flags |= {key: one.flags for key, one in known.items() if one.flags != PLAIN}
        series = dict(zip(known, map(_SERIES, known.values()), strict=True))
        return {key: one for key, one in series.items() if one is not None} if None in series.values() else series

    async def hold(self, keys: Collection[Key], also: Collection[Key]) -> dict[Key, Known]:
        """Hold the slots of these messages, and of all that were read or made; returns what is committed of the first.

        That is to be changed in place, to what holds once this is committed. Raises OutOfStep where the level of a
        message has changed since it was looked up.
        """
        # Of all that were looked up: their levels were believed. Who has lowered them is seen at the lock (ADR 0059).
        found_before, loaded, created = self._found, self._loaded, self._created
        wanted = set(map(_SLOT, chain(loaded.values(), created.values(), found_before.values()))) | self.also
        wanted |= {slot_of(*key) for key in {*keys, *also}.difference(found_before, loaded, created)}
        if wanted:
            await self._memory.lock(self, wanted)
            self._doubt_what_was_let_go()
            await self._check_flags()
        self.learnt |= created
        unsure = {slot for slot in set(map(_SLOT, loaded.values())) if not self._still_holds(slot)}
        self.learnt |= {key: known for key, known in loaded.items() if known.slot not in unsure} if unsure else loaded
        learnt, eras = self.learnt, self._memory.eras
        found: dict[Key, Known] = {}
        missing: list[Key] = []
        for key in keys:
            known = learnt.get(key)
            if known is None:
                known = found_before.get(key)
                if known is None or known.era != eras[known.slot]:
                    known = self._memory.get(key)
            if known is None:
                missing.append(key)
            else:
                found[key] = known
        if missing:
            now = await load(self.connection, missing)
            self.learnt |= now
            found |= {key: now.get(key) or Known(None, None, None, slot_of(*key)) for key in missing}
        return found

    def _doubt_what_was_let_go(self) -> None:
        """A message that the memory has let go since it was found there, another transaction may have learnt anew, and
        changed.
        """
        if self._memory.turnovers - self._turnovers < 2:
            return
        for key, known in self._found.items():
            if self._memory.get(key) is not known:
                self._found[key] = msgspec.structs.replace(known, era=FORGOTTEN)

    async def _check_flags(self) -> None:
        """Whoever else wrote in a slot may have lowered the levels of its messages (ADR 0059)."""
        eras = self._memory.eras
        doubtful = {key: known for key, known in self._found.items() if known.era != eras[known.slot]}
        if unsure := {slot for slot in set(map(_SLOT, self._loaded.values())) if not self._still_holds(slot)}:
            doubtful |= {key: known for key, known in self._loaded.items() if known.slot in unsure}
        if not doubtful:
            return
        now = await load(self.connection, sorted(doubtful))
        if any(now[key].flags != known.flags for key, known in doubtful.items() if key in now):
            raise OutOfStep("somebody else lowered the levels of messages that were looked up before")

    def _still_holds(self, slot: int) -> bool:
        """Whether nobody can have written there between the look-up and the lock."""
        then = self._loaded_at[slot]
        return slot not in self.others and then is not None and self.turns[slot] == then + 1

    async def write_engagements(self, rows: list[bytes]) -> None:
        """Store first engagements, packed, of messages that had none of the kind.

        Raises OutOfStep where one was there all the same: what is known of these messages is then forgotten.
        """
        try:
            await packing.copy(self.connection, "engagement", ENGAGEMENT, rows)
        except asyncpg.UniqueViolationError as error:
            raise OutOfStep(f"somebody else counted first engagements of the same messages: {error}") from error

    async def move_engagements(self, rows: list[tuple[int, bytes, int, int]]) -> None:
        """First engagements (workspace, message, kind, at) turn out to be earlier than was known."""
        if not rows:
            return
        workspaces, messages, kinds, times = zip(*sorted(rows), strict=True)
        await self.connection.execute(_QUERIES["move_engagements"], workspaces, list(map(UUID, messages)), kinds, times)

    def forget(self, keys: Iterable[Key]) -> None:
        """What is known of these does not hold any more."""
        for key in keys:
            self.learnt.pop(key, None)
            if (known := self._memory.get(key)) is not None:
                known.era = FORGOTTEN

    def known(self, key: Key) -> Known | None:
        """What is known of a message whose slot is held."""
        return self.learnt.get(key) or self._memory.get(key)

    def date(self, key: Key, sent_at: int | None, delivered_at: int | None) -> None:
        """A message was sent, or delivered, at the latest then."""
        known = self.known(key)
        if known is not None:
            known.sent_at = _least(known.sent_at, sent_at)
            known.delivered_at = _least(known.delivered_at, delivered_at)


async def load(connection: Connection, keys: list[Key]) -> dict[Key, Known]:
    """Those of the messages that are there."""
    workspaces, messages = zip(*keys, strict=True)
    bounds = UUID(min(messages)), UUID(max(messages))
    row = await connection.fetchrow(_QUERIES["messages"], workspaces, list(map(UUID, messages)), *bounds)
    assert row is not None
    found: dict[Key, Known] = {}
    names = ("place", "series", "sent_at", "delivered_at", "flags", "links")
    for place, series, sent_at, delivered_at, flags, links in zip(*(row[name] or () for name in names), strict=True):
        key = keys[place - 1]
        found[key] = Known(series, sent_at, delivered_at, slot_of(*key), flags=asked(flags), links=links)
    for place, kind, at in zip(row["engaged"] or (), row["kind"] or (), row["at"] or (), strict=True):
        if (known := found.get(keys[place - 1])) is not None:
            known.engage(kind, at)
    return found


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
