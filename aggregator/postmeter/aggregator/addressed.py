"""Events of webhooks that name a recipient and no message: each counts for the one message that fits (ADR 0030).

They wait with those that came before their message, are looked at after a minute, and again whenever they have waited
for twice as long. One message fits: the event is its. Several: nobody can tell, and a person is to look. None for a
day: likewise.
"""

from __future__ import annotations

import msgspec

from postmeter.aggregator.batches import Batch, Rejected, reject
from postmeter.aggregator.moments import MICROSECONDS
from postmeter.aggregator.waiting import unpacked
from postmeter.shared.events import EventType
from postmeter.shared.postgres import Connection
from postmeter.shared.records import Event
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.aggregator", "addressed.sql")
MOST = 500
"""Events that are looked at in one transaction."""
KEEP_SECONDS = 86_400.0
"""For so long a message that fits may become known after its event."""
BEFORE = 5 * 86_400 * MICROSECONDS
"""A message was made at most so long before its event: servers try for five days (RFC 5321, section 4.5.4.1)."""
AFTER = 3_600 * MICROSECONDS
"""Or so long after it, by another clock."""


async def settle(connection: Connection, most: int) -> Batch:
    """Take out those whose message can be told now, with its name, and those of which it never will be, as rejected."""
    rows = await connection.fetch(_QUERIES["due"], min(most, MOST))
    settled = Batch(b"")
    waiting: list[tuple[int, float, Event]] = []
    done: list[int] = []
    for row in rows:
        one = unpacked([row["record"]])
        settled.rejected += one.rejected
        events = [record for record in one.records if type(record) is Event and record.mail is not None]
        waiting += [(row["id"], row["waited"], event) for event in events]
        done += [] if events else [row["id"]]
    found = await _fitting(connection, [event for _, _, event in waiting])
    again: list[int] = []
    for (row_id, waited, event), named in zip(waiting, found, strict=True):
        if not named and waited < KEEP_SECONDS:
            again.append(row_id)
            continue
        done.append(row_id)
        if len(named) == 1:
            settled.records += named
        else:
            settled.rejected.append(_unclear(event, len(named)))
    if done:
        await connection.execute(_QUERIES["take_out"], done)
    if again:
        await connection.execute(_QUERIES["look_again"], again)
    return settled


async def _fitting(connection: Connection, events: list[Event]) -> list[list[Event]]:
    """For each event what it is of the messages that fit: none, one, or two of several."""
    found: list[list[Event]] = [[] for _ in events]
    if not events:
        return found
    sought = [
        (e.workspace, e.provider, e.mail.to_hash, e.at - BEFORE, e.at + AFTER, e.mail.subject) for e in events if e.mail
    ]
    for row in await connection.fetch(_QUERIES["fitting"], *zip(*sought, strict=True)):
        event = events[row["place"] - 1]
        # One that nobody has registered is named as its provider does: its id is gone once somebody does.
        named = {"provider_message": row["provider_message"]} if row["provisional"] else {"message": row["id"].bytes}
        found[row["place"] - 1].append(msgspec.structs.replace(event, **named))
    return found


def _unclear(event: Event, fitting: int) -> Rejected:
    kind = EventType(event.type).name.lower()
    why = "several messages to it fit" if fitting else "no message to it is known"
    source = event.mail.source if event.mail else ""
    return reject(event, f"webhook {source}: {kind} names only an address, and {why}", b"")
