"""Clicks judged by their company by what the history says, where not all of a message's are remembered (fold/clicks.py
judges the others); what that changes of earlier ones is corrected at once (ADR 0023).

Such a click is counted by its own verdict first. Whoever adds a click, or learns when a clicked message was delivered,
holds the message's slot (ADR 0049): so of two flushes at once the second sees the first one's clicks, and nobody else
changes what is corrected here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.clicks import Judged, add, corrected, stretches
from postmeter.aggregator.fold.effects import BUCKET, HIT_COUNTERS, UNIQUES
from postmeter.aggregator.fold.moments import MICROSECONDS, NEVER
from postmeter.aggregator.fold.states import Key
from postmeter.aggregator.store.memory import Transaction
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


class Near(NamedTuple):
    """Clicks of a message that may decide about each other, in the order of time; its links, and its delivery."""

    workspace: int
    message: UUID
    clicks: list[Click]
    links: int
    delivered_at: int | None


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
    workspaces = {workspace for workspace, _ in changes.clicks}
    return max((changes.thresholds(workspace).early_seconds for workspace in workspaces), default=0)


async def correct(held: Transaction, changes: Changes, older: Mapping[Key, Judged]) -> None:
    """Write what clicks of the history were found to be; their counts, but for first clicks, go to `changes`."""
    judgements = [
        (workspace, UUID(message), *place, reason)
        for (workspace, message), found in older.items()
        for place, reason in found.items()
    ]
    if judgements:
        await _correct(held.connection, changes, judgements)


async def judge(
    held: Transaction, changes: Changes, settled: Collection[Key], alone: Collection[Key], told: list[Stretch]
) -> None:
    """Judge by the history the clicks in `changes` and those around them; corrections go there and to `changes`.

    settled: messages whose clicks are judged already. alone: those on which this flush holds the first click. told:
    stretches that are looked at as well.
    """
    looked = [*told, *_stretches(changes, settled, alone)]
    found: dict[tuple[int, UUID], Judged] = {}
    for one in await _read(held.connection, looked) if looked else ():
        of_message = found.setdefault((one.workspace, one.message), {})
        add(of_message, one.clicks, one.links, one.delivered_at, changes.thresholds(one.workspace))
    judgements = [(*message, *place, reason) for message, of in found.items() for place, reason in of.items()]
    if not judgements:
        return
    await _correct(held.connection, changes, judgements)
    for (workspace, message), of in found.items():
        known = held.known((workspace, message.bytes))
        if known is not None and known.clicks:
            known.clicks = corrected(known.clicks, of)
    if touched := _earliest(judgements):
        await _move_first_clicks(held, changes, touched)


def _stretches(changes: Changes, settled: Collection[Key], alone: Collection[Key]) -> Iterator[Stretch]:
    oldest = changes.horizon.oldest["event"]
    for key, new in changes.clicks.items():
        if key in settled or (len(new) == 1 and key in alone):
            continue
        for low, high in stretches(new, changes.thresholds(key[0]), oldest):
            yield key[0], UUID(key[1]), low, high


def _earliest(judgements: Iterable[Judgement]) -> list[tuple[int, UUID, int]]:
    """Messages (workspace, id) with other clicks of people than before, and when the earliest of these is, or was."""
    found: dict[tuple[int, UUID], int] = {}
    for workspace, message, at, _, was, reason in judgements:
        if was is None or reason is None:
            found[workspace, message] = min(at, found.get((workspace, message), at))
    return [(*key, at) for key, at in sorted(found.items())]


async def _read(connection: Connection, stretches: list[Stretch]) -> list[Near]:
    low, high = min(low for _, _, low, _ in stretches), max(high for _, _, _, high in stretches)
    kinds = company.JOINT, [company.HEAD, company.HONEYPOT]
    rows = await connection.fetch(_QUERIES["near"], *zip(*stretches, strict=True), MOST, *kinds, low, high)
    return [
        Near(
            row["workspace"],
            row["message"],
            [Click(*one) for one in zip(row["at"], row["url"], row["agent"], row["reason"], strict=True)],
            row["links"],
            row["delivered_at"],
        )
        for row in rows
    ]


async def _correct(connection: Connection, changes: Changes, judgements: list[Judgement]) -> None:
    await connection.execute(_QUERIES["plan_anew"])
    told = [(*one, stored(Verdict.HUMAN if one[-1] is None else Verdict.MACHINE, one[-1])[0]) for one in judgements]
    for row in await connection.fetch(_QUERIES["judge"], *zip(*told, strict=True)):
        changes.judged[row["reason"] or "none"] += 1
        if row["was"] is None:
            move(changes, row, -1)
        elif row["reason"] is None:
            move(changes, row, 1)


async def _move_first_clicks(held: Transaction, changes: Changes, touched: list[tuple[int, UUID, int]]) -> None:
    moved = []
    since = min(at for _, _, at in touched)
    for row in await held.connection.fetch(_QUERIES["first_clicks"], *zip(*touched, strict=True), since):
        workspace, series, was = row["workspace"], row["series"], row["was"]
        at = NEVER if row["at"] is None else row["at"]
        moved.append((workspace, row["message"], at))
        if (known := held.known((workspace, row["message"].bytes))) is not None:
            known.engage(Engagement.CLICK, at)
        for when, n in ((was, -1), (at, 1)):
            if when != NEVER:
                changes.count(workspace, when, series, UNIQUES[Engagement.CLICK], n)
        if row["sent_at"] is not None and NEVER in (was, at):
            changes.cohorts.engage(workspace, row["sent_at"], series, Engagement.CLICK, -1 if at == NEVER else 1)
    if moved:
        await held.connection.execute(_QUERIES["move_first_clicks"], *zip(*moved, strict=True))


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
