"""What recipients have chosen: the proof, the choice as it is now, and the messages that it lowers (ADR 0059).

A choice is looked after in three steps. `prepare` and `take` come before any slot is held: they keep the proof and find
the messages. `write` comes when the slots of these and of the recipients are held: the choice holds from then on, and
levels are lowered, never raised. What was registered at that moment, or is too much for one transaction, `look_again`
finds, and messages that nobody has registered: their rows are locked before slots, and a flush locks its own already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold import choices
from postmeter.aggregator.fold.choices import Chosen, Recipient, Said
from postmeter.aggregator.fold.states import Key
from postmeter.aggregator.store.memory import Transaction
from postmeter.aggregator.store.messages import hold_unregistered
from postmeter.aggregator.stream.batches import Rejected, reject
from postmeter.shared.privacy.audit import RECIPIENT
from postmeter.shared.privacy.levels import FULL, Ceilings, Choice, Choices, Level, Levels
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import Consent
from postmeter.shared.stream.streams import slot_of, slot_of_name

_QUERIES = Queries("postmeter.aggregator.store", "consents.sql")
MOST_MESSAGES = 2000
"""That are lowered in one transaction."""
MOST_LOOKS = 500
"""Recipients that are looked at again in one transaction."""
FIRST_PROOFS, MOST_PROOFS = 99, 50_000
"""Of what a reader's pages tell in a day: so many are kept, and the latest; so many are looked at."""
FIRST_LOOK, LAST_LOOK = 2.0, 60.0
"""Seconds after a choice: by the last all that was registered at the same moment is committed."""
NOBODY = "the preferences page of a message whose recipient is not known"


class Taken(NamedTuple):
    """What a flush does with choices. early: from the pages of messages that are not known yet. nobodys: whose they are
    nobody can tell.
    """

    chosen: Chosen | None = None
    early: Sequence[Consent] = ()
    nobodys: Sequence[Rejected] = ()


async def prepare(connection: Connection, consents: list[Consent]) -> None:
    """Make the workspaces' settings, by which others know that there are choices. A row too many does no harm."""
    if consents:
        await connection.execute(_QUERIES["begin_settings"], sorted({one.workspace for one in consents}))


async def take(held: Transaction, consents: list[Consent]) -> Taken:
    """Keep the proof, and find what is to be lowered."""
    if not consents:
        return Taken()
    connection = held.connection
    told, early, rejected = await _told(connection, consents)
    await connection.execute(_QUERIES["keep_proof"], *_columns([_proof(*one) for one in told], 9))
    pages = sorted({recipient for recipient, one in told if one.by == RECIPIENT})
    if pages:
        await connection.execute(_QUERIES["thin_proofs"], *_columns(pages, 2), RECIPIENT, FIRST_PROOFS, MOST_PROOFS)
    chosen = await _chosen(connection, choices.latest(told))
    if chosen.unregistered:
        chosen.found = {key: whose for key, whose in chosen.found.items() if key not in chosen.unregistered}
        chosen.whole = False
    _hold_also(held, chosen.said, chosen.found)
    return Taken(chosen, early, rejected)


async def write(connection: Connection, chosen: Chosen | None) -> list[Key]:
    """Let the choices hold, and lower messages; slots are held. Returns the messages of which nothing is known now."""
    if chosen is None or not chosen.said:
        return []
    after = FIRST_LOOK if chosen.whole else 0.0
    rows = [(*recipient, *_columns_of(said)) for recipient, said in sorted(chosen.said.items())]
    changed = await connection.fetch(_QUERIES["choose"], *_columns(rows, 6), after)
    now = {(row["workspace"], row["to_hash"]): _choices(row) for row in changed}
    return await _lower(connection, chosen, now)


async def look_again(held: Transaction) -> bool:
    """Lower what messages of recipients who have chosen lately are not lowered yet. Whether there may be more now."""
    connection = held.connection
    rows = await connection.fetch(_QUERIES["to_look_at"], MOST_LOOKS)
    if not rows:
        return False
    said = {(row["workspace"], row["to_hash"]): Said() for row in rows}
    chosen = await _chosen(connection, said)
    await hold_unregistered(connection, chosen.unregistered)
    _hold_also(held, chosen.found.values(), chosen.found)
    await held.hold((), ())
    now = {(row["workspace"], row["to_hash"]): _choices(row) for row in rows}
    held.forget(await _lower(connection, chosen, now))
    if chosen.whole:
        looked = [(row["workspace"], row["to_hash"], row["changed_at"]) for row in rows]
        await connection.execute(_QUERIES["looked"], *_columns(looked, 3), LAST_LOOK)
    return not chosen.whole or len(rows) == MOST_LOOKS


async def _told(
    connection: Connection, consents: list[Consent]
) -> tuple[list[tuple[Recipient, Consent]], list[Consent], list[Rejected]]:
    """Whose each choice is: a page's by its message. Also those whose message is not known yet, and those that are
    nobody's; of who was erased meanwhile nothing stays.
    """
    asked = sorted({(one.workspace, UUID(one.message)) for one in consents if one.message})
    rows = await connection.fetch(_QUERIES["recipients_of"], *_columns(asked, 2)) if asked else []
    of_messages = {(row["workspace"], row["id"].bytes): row["to_hash"] for row in rows}
    erased = {(row["workspace"], row["id"].bytes) for row in rows if row["is_erased"]}
    told: list[tuple[Recipient, Consent]] = []
    early: list[Consent] = []
    rejected: list[Rejected] = []
    for one in consents:
        page = (one.workspace, one.message)
        to_hash = of_messages.get(page) if one.message else one.to_hash
        if to_hash:
            told.append(((one.workspace, to_hash), one))
        elif to_hash is None:
            early.append(one)
        elif page not in erased:
            rejected.append(reject(one, NOBODY, b""))
    return told, early, rejected


async def _chosen(connection: Connection, said: Mapping[Recipient, Said]) -> Chosen:
    """With the messages that may have too high levels."""
    chosen = Chosen(dict(said))
    if not said:
        return chosen
    levels: list[tuple[int, str, Level, Level]] = []
    for row in await connection.fetch(_QUERIES["choices_now"], *_columns(sorted(said), 2)):
        recipient = (row["workspace"], row["to_hash"])
        chosen.ceilings[recipient[0]] = _ceilings(row)
        at_most = chosen.at_most(recipient, _said(row).then(said[recipient]).choices)
        if at_most != FULL:
            levels.append((*recipient, *at_most))
    if levels:
        rows = await connection.fetch(_QUERIES["too_high"], *_columns(levels, 4), MOST_MESSAGES)
        chosen.found = {(row["workspace"], row["id"].bytes): (row["workspace"], row["to_hash"]) for row in rows}
        chosen.unregistered = {(row["workspace"], row["id"].bytes) for row in rows if row["is_provisional"]}
        chosen.whole = len(rows) < MOST_MESSAGES
    return chosen


def _hold_also(held: Transaction, recipients: Iterable[Recipient], messages: Iterable[Key]) -> None:
    """A recipient who chooses is looked at by one writer at a time, as messages are."""
    held.also.update(slot_of_name(workspace, "", to_hash) for workspace, to_hash in recipients)
    held.also.update(slot_of(*key) for key in messages)


async def _lower(connection: Connection, chosen: Chosen, now: Mapping[Recipient, Choices]) -> list[Key]:
    rows = []
    for (workspace, message), recipient in sorted(chosen.found.items()):
        if recipient in now and (at_most := chosen.at_most(recipient, now[recipient])) != FULL:
            rows.append((workspace, UUID(message), *at_most))
    if rows:
        await connection.execute(_QUERIES["lower"], *_columns(rows, 4))
    return [(workspace, message.bytes) for workspace, message, *_ in rows]


def _proof(recipient: Recipient, one: Consent) -> tuple[object, ...]:
    return (*recipient, one.opens, one.clicks, one.method, one.text_version, one.source, one.at, one.by)


def _columns_of(said: Said) -> tuple[object, ...]:
    """Choice and time of opens, and of clicks; nothing said: no time."""
    return tuple(value for at, choice in (said.opens, said.clicks) for value in (choice, None if at < 0 else at))


def _said(row: asyncpg.Record) -> Said:
    """What was said before."""
    known = Said()
    if row["opens_at"] is not None:
        known = known.then(Said(opens=(row["opens_at"], row["opens"])))
    if row["clicks_at"] is not None:
        known = known.then(Said(clicks=(row["clicks_at"], row["clicks"])))
    return known


def _choices(row: asyncpg.Record) -> Choices:
    return Choices(Choice(row["opens"]), Choice(row["clicks"]))


def _ceilings(row: asyncpg.Record) -> Ceilings:
    return Ceilings(
        unknown=Levels(Level(row["unknown_opens"]), Level(row["unknown_clicks"])),
        denied=Levels(Level(row["denied_opens"]), Level(row["denied_clicks"])),
    )


def _columns(rows: Iterable[tuple[object, ...]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[]] * width
