"""Events of webhooks that name a recipient and no message: each counts for the one message that fits (ADR 0030).

They wait with those that came before their message, are looked at after a minute, and again whenever they have waited
for twice as long. One message fits: the event is its. Several: nobody can tell, and a person is to look. None for a
day: likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.aggregator.stream.batches import Batch, reject
from postmeter.aggregator.unregistered.waiting import unpacked
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import source_log
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event

_QUERIES = Queries("postmeter.aggregator.unregistered", "addressed.sql")
MOST = 500
"""Events that are looked at in one transaction."""
KEEP_SECONDS = 86_400.0
"""How long after its event a message that fits may become known."""
BEFORE = 5 * 86_400 * MICROSECONDS
"""How long before its event a message was made at most: servers try for five days (RFC 5321, section 4.5.4.1)."""
AFTER = 3_600 * MICROSECONDS
"""How long after it at most, by another clock."""

_UNCLEAR = (
    "no message to it is known",
    "no sender, and the message to it is of a key that is confined to a domain",
    "several messages to it fit",
)
"""Why an event is put aside, by how many messages fit."""


@dataclass
class SettledEvents(Batch):
    """What waits no more. unclear: by source, those that are put aside because nobody can tell whose they are."""

    unclear: dict[str, list[source_log.Unread]] = field(default_factory=dict)


async def settle(connection: Connection, most: int) -> SettledEvents:
    """Take out those whose message can be told now, with its name, and those of which it never will be, as rejected."""
    rows = await connection.fetch(_QUERIES["due"], min(most, MOST))
    settled = SettledEvents(b"")
    waiting: list[tuple[int, float, Event]] = []
    done: list[int] = []
    for row in rows:
        one = unpacked([row["record"]])
        settled.rejected += one.rejected
        events = [record for record in one.records if isinstance(record, Event) and record.mail is not None]
        waiting += [(row["id"], row["waited"], event) for event in events]
        if not events:
            done.append(row["id"])
            settled.records += one.records
    found = await _fitting(connection, [event for _, _, event in waiting])
    again: list[int] = []
    for (row_id, waited, event), named in zip(waiting, found, strict=True):
        if not named and waited < KEEP_SECONDS:
            again.append(row_id)
            continue
        done.append(row_id)
        match named:
            case [Event() as alone]:
                settled.records.append(alone)
            case _:
                _put_aside(settled, event, len(named))
    if done:
        await connection.execute(_QUERIES["take_out"], done)
    if again:
        await connection.execute(_QUERIES["look_again"], again)
    return settled


async def _fitting(connection: Connection, events: list[Event]) -> list[list[Event | None]]:
    """For each event what it is of the messages that fit: none, one, or two of several.

    None stands for a message that a confined key registered, where the event does not tell of which domain it is: it
    may be another domain's, and then that key must not get it (ADR 0035).
    """
    found: list[list[Event | None]] = [[] for _ in events]
    if not events:
        return found
    sought = [
        (e.workspace, e.provider, e.mail.to_hash, e.at - BEFORE, e.at + AFTER, e.mail.subject, e.mail.from_domain)
        for e in events
        if e.mail
    ]
    for row in await connection.fetch(_QUERIES["fitting"], *zip(*sought, strict=True)):
        event = events[row["place"] - 1]
        # One that nobody has registered is named as its provider does: its id is gone once somebody does.
        named = {"provider_message": row["provider_message"]} if row["provisional"] else {"message": row["id"].bytes}
        found[row["place"] - 1].append(None if row["unproven"] else msgspec.structs.replace(event, **named))
    return found


def _put_aside(settled: SettledEvents, event: Event, fitting: int) -> None:
    kind, mail = EventType(event.type).name.lower(), event.mail
    assert mail is not None
    why = f"{kind} names only an address, and {_UNCLEAR[fitting]}"
    settled.rejected.append(reject(event, f"webhook {mail.source}: {why}", b""))
    told = {"to_hash": mail.to_hash, "domain": mail.to_domain, "subject": mail.subject, "reason": event.reason}
    unread = source_log.Unread.of(event.received, why, msgspec.json.encode(told))
    settled.unclear.setdefault(mail.source, []).append(unread)
