"""Registrations that come after their provider's webhook: what was counted of the message that the webhook made moves
to the registered one, as if the registration had come first (ADR 0020).

Done by the sweep. The provisional message's lock is taken first, so that all that was counted of it is committed,
and nothing is added to it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold import restricted
from postmeter.aggregator.fold.changes import OWN_COUNTS, Changes
from postmeter.aggregator.fold.effects import BUCKET, EFFECTS, HIT_COUNTERS, HIT_ENGAGEMENTS, TRACKABLE, UNIQUES, Effect
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.moments import MICROSECONDS, NEVER
from postmeter.aggregator.fold.states import Key, is_seen
from postmeter.aggregator.store import clicks as company
from postmeter.aggregator.store.messages import LockedMessage, columns, hold_unregistered
from postmeter.aggregator.unregistered import provisional
from postmeter.aggregator.unregistered.engagement_policy import EngagementPolicy
from postmeter.shared.privacy.levels import Level
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.storage.verdict_reasons import SHIFTED
from postmeter.shared.stream.events import Engagement, EventType, Verdict

_QUERIES = Queries("postmeter.aggregator.unregistered", "adoption.sql")
_UNREGISTERED = provisional.QUERIES
MOST = 1000
"""Unregistered messages that are looked at in one transaction."""


@dataclass
class Adoption:
    """What a look at the unregistered messages found. more: there may be others to look at."""

    messages: int = 0
    more: bool = False


async def adopt(connection: Connection, changes: Changes, policy: EngagementPolicy, most: int) -> Adoption:
    """Move messages that are registered by now, inside the caller's transaction; what changes is in `changes`.

    most: unregistered messages that are looked at.
    """
    visited = await connection.fetch(_UNREGISTERED["visit"], most)
    if not visited:
        return Adoption()
    settled = {(row["workspace"], row["message"].bytes): row["settled"] for row in visited}
    found = await connection.fetch(_UNREGISTERED["registered"], *columns(settled))
    registered = {(row["workspace"], row["provisional"].bytes): row for row in found}
    held = await hold_unregistered(connection, registered)
    # What is older than the history cannot be moved exactly; it stays what it is.
    oldest = await _oldest(connection, {workspace for workspace, _ in held}, changes.horizon)
    moving = {key: registered[key] for key, message in held.items() if message.created >= oldest[key[0]]}
    if moving:
        await _move(connection, changes, policy, moving, held)
    done = [key for key, is_settled in settled.items() if is_settled or key in registered]
    await connection.execute(_UNREGISTERED["forget"], *columns(done))
    await connection.execute(_UNREGISTERED["fence"], *columns(settled.keys() - set(done)))
    return Adoption(len(moving), len(visited) == most)


async def _oldest(connection: Connection, workspaces: set[int], horizon: Horizon) -> dict[int, int]:
    """From when on each of the workspaces has its history: the installation's horizon, or a later one of its own."""
    oldest = dict.fromkeys(workspaces, horizon.oldest["event"])
    if workspaces:
        month = datetime.fromtimestamp(horizon.now / MICROSECONDS, UTC).date().replace(day=1)
        for row in await connection.fetch(_QUERIES["shorter_histories"], sorted(workspaces), month):
            oldest[row["workspace"]] = max(oldest[row["workspace"]], row["oldest"])
    return oldest


async def _move(
    connection: Connection,
    changes: Changes,
    policy: EngagementPolicy,
    moving: dict[Key, asyncpg.Record],
    held: dict[Key, LockedMessage],
) -> None:
    rows = [
        (
            key[0],
            UUID(key[1]),
            to["message"],
            to["series"],
            *(
                policy.counts_theirs(kind, key[0], to["flags"], to["provider"])
                for kind in (EventType.OPENED, EventType.CLICKED)
            ),
        )
        for key, to in sorted(moving.items(), key=lambda item: item[0])
    ]
    await company.acquit(connection, changes, *columns(moving))
    history = await connection.fetch(_QUERIES["move_history"], *zip(*rows, strict=True), SHIFTED[OWN_COUNTS])
    flags = {(key[0], to["message"].bytes): to["flags"] for key, to in moving.items()}
    for row in history:
        _add(changes, row, held[row["workspace"], row["provisional"].bytes].series, -1)
        if row["counted"]:
            _adopted(changes, row, flags[row["workspace"], row["message"].bytes])
    await _strip(connection, changes, flags)
    for row in await connection.fetch(_QUERIES["take_engagements"], *columns(moving)):
        message, kind = held[row["workspace"], row["message"].bytes], Engagement(row["kind"])
        if row["at"] == NEVER:
            continue
        changes.count(row["workspace"], row["at"], message.series, UNIQUES[kind], -1)
        if message.sent_at is not None and kind is not Engagement.UNSUBSCRIBE:
            changes.cohorts.engage(row["workspace"], message.sent_at, message.series, kind, -1)
    for key in moving:
        message = held[key]
        changes.cohorts.add(key[0], message.created, message.series, message.state, -1)
        if message.sent_at is not None:
            changes.cohorts.unmail(key[0], message.sent_at, message.series, 1)
    await connection.execute(_QUERIES["take_messages"], *columns(moving))


def _adopted(changes: Changes, row: asyncpg.Record, flags: int) -> None:
    """Count a row of the history for the registered message, as its level of tracking says."""
    kind = EventType(row["type"])
    if kind in HIT_ENGAGEMENTS:
        key = (row["workspace"], row["message"].bytes)
        level = restricted.level_of(kind, key[0], flags, changes.said)
        if level is not Level.FULL:
            restricted.recount(changes, key, kind, dict(row), level)
            return
    elif kind is EventType.DELIVERED and is_seen(flags, changes.said.get(row["workspace"])):
        changes.count(row["workspace"], row["at"], row["series"], TRACKABLE)
    _add(changes, row, row["series"], 1)
    _rise(changes, row)


async def _strip(connection: Connection, changes: Changes, flags: dict[Key, int]) -> None:
    """Take out of the history what may not be kept of the registered messages' opens and clicks."""
    gone: list[tuple[int, UUID, int]] = []
    coarse: list[tuple[int, UUID, int]] = []
    for (workspace, message), of in flags.items():
        for kind in HIT_ENGAGEMENTS:
            level = restricted.level_of(kind, workspace, of, changes.said)
            if level is not Level.FULL:
                (coarse if level is Level.PSEUDONYMOUS else gone).append((workspace, UUID(message), kind))
    for name, rows in (("drop_history", gone), ("coarsen_history", coarse)):
        if rows:
            await connection.execute(_QUERIES[name], *zip(*rows, strict=True))


def _effect(row: asyncpg.Record) -> Effect:
    kind = EventType(row["type"])
    if kind not in HIT_ENGAGEMENTS:
        return EFFECTS[kind, row["bounce"] or 0]
    verdict = Verdict(row["verdict"])
    return Effect(HIT_COUNTERS[kind, verdict], None if verdict is Verdict.MACHINE else HIT_ENGAGEMENTS[kind])


def _add(changes: Changes, row: asyncpg.Record, series: int, n: int) -> None:
    """Count a row of the history `n` times more for a series, in everything but uniques and cohorts."""
    workspace, at, kind = row["workspace"], row["at"], row["type"]
    effect = _effect(row)
    if effect.counter is not None:
        changes.count(workspace, at, series, effect.counter, n)
    if kind == EventType.CLICKED and row["url"]:
        changes.relinked[workspace, at - at % BUCKET, series, row["url"], row["verdict"] == Verdict.MACHINE] += n
    elif kind == EventType.BOUNCED:
        changes.reasons.add(workspace, at, series, row["reason"] or "", row["bounce"], n)


def _rise(changes: Changes, row: asyncpg.Record) -> None:
    """Apply what the event means for its message: first engagements, and the state that it has reached."""
    key, kind, effect = (row["workspace"], row["message"].bytes), EventType(row["type"]), _effect(row)
    if effect.engagement is not None:
        changes.engage(effect.engagement, key, row["at"], row["series"])
    changes.rise(key, kind, effect.state, row["at"])
    if kind is EventType.SENT:
        changes.sendings.add(*key, row["at"], row["series"])
