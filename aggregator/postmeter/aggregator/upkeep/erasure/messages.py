"""Messages of an erased recipient lose what identifies the recipient; their state and all sums stay."""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.states import Flag
from postmeter.aggregator.store.messages import hold_unregistered
from postmeter.aggregator.unregistered import provisional
from postmeter.aggregator.upkeep.erasure.step import QUERIES, Erasure
from postmeter.shared.privacy import erasures, levels
from postmeter.shared.storage.postgres import Connection

MOST = 200
"""Messages of one step. Their slots are held for it, and counting waits."""
FLAGS = levels.to_flags(levels.NOTHING) | Flag.ERASED
SOUGHT_CHARS = 8
"""A shorter name is not searched for in other people's data: it would be found in anybody's."""


async def make_nameless(erasure: Erasure) -> bool:
    """Make some of the recipient's messages nameless; whether none is left."""
    connection, workspace = erasure.connection, erasure.workspace
    found = await connection.fetch(QUERIES["messages_of"], workspace, erasure.to_hash, MOST)
    if not found:
        return True
    if await _are_moving(connection, workspace, [row["id"] for row in found]):
        return False  # in a moment each is one message; nameless, it would stay two
    told = await strip(
        erasure, sorted(row["id"] for row in found), (row["id"] for row in found if row["is_provisional"])
    )
    ids = [row["id"] for row in told]
    texts = {row["provider_message"] for row in told} | {row["recipient_ref"] for row in told}
    await erasure.take("dead_letter", "take_dead_letters", _sought(ids, texts))
    await connection.execute(QUERIES["remember"], workspace, erasure.id, ids)
    return False


async def strip(
    erasure: Erasure, ids: list[UUID], unregistered: Iterable[UUID], *, links: bool = True
) -> list[asyncpg.Record]:
    """Take from messages what identifies, and all that is told of them. Returns those that are there, as they were.

    links: their clicks are of somebody who goes, and so may be the URLs.
    """
    connection, workspace = erasure.connection, erasure.workspace
    await hold(erasure, ids, unregistered)
    told = await connection.fetch(QUERIES["told_of"], workspace, ids)
    ids = [row["id"] for row in told]  # of the others an adoption has just taken what was counted
    named = [(row["provider"], row["provider_message"], row["id"]) for row in told if row["provider_message"]]
    await connection.execute(QUERIES["make_nameless"], workspace, ids, FLAGS)
    erasure.removed["message"] += len(ids)
    await take_told(erasure, ids, links=links)
    await erasure.take("unregistered", "take_unregistered", ids)
    await erasure.take("subject", "take_subjects", sorted({row["subject"] for row in told if row["subject"]}))
    if named:
        # What is told of them by their providers' names is told of these messages still, and of nobody; and what waits
        # was parked before they were known, and is about to be counted.
        await connection.execute(QUERIES["point_waiting"], workspace, *zip(*named, strict=True))
        await connection.execute(
            QUERIES["bury"],
            [workspace] * len(named),
            [erasures.of_name(workspace, provider, name) for provider, name, _ in named],
            [erasure.requested_at] * len(named),
            [message for _, _, message in named],
        )
    return told


async def _are_moving(connection: Connection, workspace: int, ids: list[UUID]) -> bool:
    """Whether what webhooks told of any of these messages before it was registered is about to move (ADR 0020)."""
    made = [row["id"] for row in await connection.fetch(QUERIES["unregistered_of"], workspace, ids)]
    return bool(made and await connection.fetch(provisional.QUERIES["registered"], [workspace] * len(made), made))


async def look_again(erasure: Erasure) -> bool:
    """What was counted of some of these messages by who had begun before; whether none is left."""
    connection, workspace = erasure.connection, erasure.workspace
    rows = await connection.fetch(QUERIES["remembered"], workspace, erasure.id, MOST)
    if not rows:
        return True
    ids = [row["message"] for row in rows]
    if await connection.fetchval(QUERIES["are_awaited"], workspace, ids):
        return False  # parked before they were known: the sweep counts it without its texts, or puts it aside
    await hold(erasure, ids, ())
    await take_told(erasure, ids)
    await erasure.take("dead_letter", "take_dead_letters", _sought(ids, ()))
    await connection.execute(QUERIES["forget"], workspace, erasure.id, ids)
    return len(ids) < MOST


async def hold(erasure: Erasure, ids: list[UUID], unregistered: Iterable[UUID]) -> None:
    """Hold the messages, so that every writer forgets what it knows of them. Held in the order of flushes."""
    keys = [(erasure.workspace, message.bytes) for message in ids]
    await hold_unregistered(erasure.connection, [(erasure.workspace, message.bytes) for message in unregistered])
    await erasure.held.hold((), keys)
    erasure.held.forget(keys)


async def take_told(erasure: Erasure, ids: list[UUID], *, links: bool = True) -> None:
    """Take out the history of these messages, and their first engagements."""
    clicks: list[tuple[int, int]] = []
    for row in await erasure.connection.fetch(QUERIES["take_history"], erasure.workspace, ids):
        erasure.removed["event"] += row["rows"]
        if links and row["link"] and row["clicks"]:
            clicks.append((row["link"], row["clicks"]))
    if clicks:
        followed, counts = zip(*sorted(clicks), strict=True)
        await erasure.connection.execute(QUERIES["count_clicks"], erasure.workspace, followed, counts)
    await erasure.take("engagement", "take_engagements", ids)


def _sought(ids: list[UUID], texts: Iterable[str]) -> list[bytes]:
    sought = [message.bytes for message in ids] + [str(message).encode() for message in ids]
    return sought + [text.encode() for text in sorted(texts) if len(text) >= SOUGHT_CHARS]
