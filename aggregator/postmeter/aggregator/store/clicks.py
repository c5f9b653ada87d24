"""Clicks judged by their company: what that changes of earlier ones is corrected at once (ADR 0023).

Each click is counted by its own verdict first. Whoever adds a click, or learns when a clicked message was delivered,
holds the message's slot (ADR 0049): so of two flushes at once the second sees the first one's clicks, and nobody else
changes what is corrected here.
"""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.effects import BUCKET, HIT_COUNTERS, UNIQUES
from postmeter.aggregator.fold.moments import MICROSECONDS, NEVER
from postmeter.aggregator.fold.states import Key
from postmeter.aggregator.verdicts import company
from postmeter.aggregator.verdicts.company import Click
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.storage.verdict_reasons import stored
from postmeter.shared.stream.events import Engagement, EventType, Verdict

_QUERIES = Queries("postmeter.aggregator.store", "clicks.sql")
MOST = 5000
"""Clicks of a message that are looked at together, the latest. Where it has more within seconds, one too few may be
found to be a machine's."""
HUMAN = HIT_COUNTERS[EventType.CLICKED, Verdict.HUMAN]
MACHINE = HIT_COUNTERS[EventType.CLICKED, Verdict.MACHINE]

Stretch = tuple[int, UUID, int, int]
"""(workspace, message, from, to)"""
Judgement = tuple[int, UUID, int, str | None, str | None, str | None]
"""(workspace, message, time, user agent, reason until now, reason)"""


def _delivered(changes: Changes) -> list[tuple[int, UUID, int]]:
    """Messages (workspace, id) and their deliveries, where these decide about clicks."""
    return [
        (workspace, UUID(message), progress.delivered_at)
        for (workspace, message), progress in changes.progress.items()
        if progress.delivered_at is not None and changes.thresholds(workspace).early_seconds
    ]


async def deliveries(connection: Connection, changes: Changes) -> list[Stretch]:
    """Where clicks may now be near their message's delivery, or not any more. To be asked before states rise."""
    told = _delivered(changes)
    if not told:
        return []
    found: list[Stretch] = []
    for row in await connection.fetch(_QUERIES["delivered_earlier"], *zip(*told, strict=True)):
        length = changes.thresholds(row["workspace"]).early_seconds * MICROSECONDS
        found += [
            (row["workspace"], row["message"], at, at + length) for at in (row["at"], row["was"]) if at is not None
        ]
    return found


def early(changes: Changes) -> int:
    """The longest time in seconds after its delivery in which any of these clicks would be a machine's."""
    return max((changes.thresholds(workspace).early_seconds for workspace, _ in changes.clicks), default=0)


async def judge(connection: Connection, changes: Changes, alone: set[Key], stretches: list[Stretch]) -> set[Key]:
    """Judge the clicks in `changes`, whose history is written, and those around them; corrections go to `changes`.

    alone: messages of which this flush holds the first click. stretches: where clicks are looked at as well.
    Returns the messages whose first click has moved.
    """
    stretches = [*_stretches(changes, alone), *stretches]
    if not stretches:
        return set()
    low, high = min(low for _, _, low, _ in stretches), max(high for _, _, _, high in stretches)
    kinds = company.JOINT, [company.HEAD, company.HONEYPOT]
    near = await connection.fetch(_QUERIES["near"], *zip(*stretches, strict=True), MOST, *kinds, low, high)
    found: dict[tuple[int, UUID, int, str | None, str | None], str | None] = {}
    for row in near:
        clicks = [Click(*one) for one in zip(row["at"], row["url"], row["agent"], row["reason"], strict=True)]
        reasons = company.judged(clicks, row["links"], row["delivered_at"], changes.thresholds(row["workspace"]))
        for click, reason in company.changed(clicks, reasons):
            judgement = (row["workspace"], row["message"], click.at, click.agent, click.reason)
            # Two stretches of a message may meet; neither need have seen all that the other has.
            if judgement not in found or company.RANK[reason] > company.RANK[found[judgement]]:
                found[judgement] = reason
    if not found:
        return set()
    return await _correct(connection, changes, [(*judgement, reason) for judgement, reason in found.items()])


def _stretches(changes: Changes, alone: set[Key]) -> Iterator[Stretch]:
    """Around new clicks that may decide about others, or others about them."""
    oldest = changes.horizon.oldest["event"]
    for key, times in changes.clicks.items():
        if len(times) == 1 and key in alone:
            continue
        said, message = changes.thresholds(key[0]), UUID(key[1])
        around = company.reach(said)
        times = sorted(at for at in times if at >= oldest)
        if not times or not (around or said.early_seconds):
            continue
        low = 0
        for at, following in zip(times, [*times[1:], NEVER], strict=True):
            low = low or at
            if following - at > 2 * around:
                yield key[0], message, low - around, at + around
                low = 0


async def _correct(connection: Connection, changes: Changes, judgements: list[Judgement]) -> set[Key]:
    await connection.execute(_QUERIES["plan_anew"])
    told = [(*one, stored(Verdict.HUMAN if one[-1] is None else Verdict.MACHINE, one[-1])[0]) for one in judgements]
    for row in await connection.fetch(_QUERIES["judge"], *zip(*told, strict=True)):
        changes.judged[row["reason"] or "none"] += 1
        if row["was"] is None:
            move(changes, row, -1)
        elif row["reason"] is None:
            move(changes, row, 1)
    earliest: dict[tuple[int, UUID], int] = {}
    for workspace, message, at, _, was, reason in judgements:
        if was is None or reason is None:
            earliest[workspace, message] = min(at, earliest.get((workspace, message), at))
    if not earliest:
        return set()
    return await _move_first_clicks(connection, changes, [(*key, at) for key, at in sorted(earliest.items())])


async def _move_first_clicks(
    connection: Connection, changes: Changes, touched: list[tuple[int, UUID, int]]
) -> set[Key]:
    moved = []
    since = min(at for _, _, at in touched)
    for row in await connection.fetch(_QUERIES["first_clicks"], *zip(*touched, strict=True), since):
        workspace, series, was = row["workspace"], row["series"], row["was"]
        at = NEVER if row["at"] is None else row["at"]
        moved.append((workspace, row["message"], at))
        for when, n in ((was, -1), (at, 1)):
            if when != NEVER:
                changes.count(workspace, when, series, UNIQUES[Engagement.CLICK], n)
        if row["sent_at"] is not None and NEVER in (was, at):
            changes.cohorts.engage(workspace, row["sent_at"], series, Engagement.CLICK, -1 if at == NEVER else 1)
    if moved:
        await connection.execute(_QUERIES["move_first_clicks"], *zip(*moved, strict=True))
    return {(workspace, message.bytes) for workspace, message, _ in moved}


def move(changes: Changes, row: asyncpg.Record, people: int) -> None:
    """Count a row's click once more (1) or once less (-1) as a person's, and the other way round as a machine's."""
    workspace, at, series, url = row["workspace"], row["at"], row["series"], row["url"]
    changes.count(workspace, at, series, HUMAN, people)
    changes.count(workspace, at, series, MACHINE, -people)
    if url:
        cell = (workspace, at - at % BUCKET, series, url)
        changes.relinked[*cell, False] += people
        changes.relinked[*cell, True] -= people


async def acquit(connection: Connection, changes: Changes, workspaces: list[int], messages: list[UUID]) -> None:
    """Take back what the messages' clicks were found to be by their company, for they are to keep another."""
    for row in await connection.fetch(_QUERIES["acquit"], workspaces, messages, company.JOINT):
        move(changes, row, 1)
