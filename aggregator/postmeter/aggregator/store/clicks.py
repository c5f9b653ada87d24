"""Clicks judged by their company: what that changes of earlier ones is corrected at once (ADR 0023).

Each click is counted by its own verdict first. Whoever adds a click, or learns when a clicked message was delivered,
holds the message's slot (ADR 0049): so of two flushes at once the second sees the first one's clicks, and nobody else
changes what is corrected here.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.changes import Changes
from postmeter.aggregator.fold.effects import BUCKET, HIT_COUNTERS, UNIQUES
from postmeter.aggregator.fold.moments import MICROSECONDS, NEVER
from postmeter.aggregator.fold.states import Key, Known, is_full
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
_AT = attrgetter("at")


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
    return max((changes.thresholds(workspace).early_seconds for workspace, _ in changes.clicks), default=0)


async def judge(
    held: Transaction, changes: Changes, states: dict[Key, Known], alone: set[Key], stretches: list[Stretch]
) -> None:
    """Judge the clicks in `changes`, whose history is written, and those around them; corrections go to `changes`.

    states: what is known of their messages, these clicks with it. alone: messages of which this flush holds the first
    click. stretches: where clicks are looked at as well.
    """
    near: list[Near] = []
    for key, low, high in _stretches(changes, alone):
        known = states[key]
        if known.clicks is None or known.links is None or not is_full(known.flags) or key[0] in changes.said:
            stretches.append((key[0], UUID(key[1]), low, high))
        else:
            around = sorted([one for one in known.clicks if low <= one.at <= high], key=_AT)
            near.append(Near(key[0], UUID(key[1]), around, known.links, known.delivered_at))
    if stretches:
        near += await _read(held.connection, stretches)
    found: dict[tuple[int, UUID, int, str | None, str | None], str | None] = {}
    for workspace, message, clicks, links, delivered_at in near:
        reasons = company.judged(clicks, links, delivered_at, changes.thresholds(workspace))
        for click, reason in company.changed(clicks, reasons):
            judgement = (workspace, message, click.at, click.agent, click.reason)
            # Two stretches of a message may meet; neither need have seen all that the other has.
            if judgement not in found or company.RANK[reason] > company.RANK[found[judgement]]:
                found[judgement] = reason
    if found:
        await _correct(held, changes, [(*judgement, reason) for judgement, reason in found.items()])


async def _read(connection: Connection, stretches: list[Stretch]) -> list[Near]:
    """What the history has of these, where it is not remembered."""
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


def _stretches(changes: Changes, alone: set[Key]) -> Iterator[tuple[Key, int, int]]:
    """(message, from, to) around new clicks that may decide about others, or others about them."""
    oldest = changes.horizon.oldest["event"]
    for key, clicks in changes.clicks.items():
        if len(clicks) == 1 and key in alone:
            continue
        said = changes.thresholds(key[0])
        around = company.reach(said)
        times = sorted([click.at for click in clicks if click.at >= oldest])
        if not times or not (around or said.early_seconds):
            continue
        low = 0
        for at, following in zip(times, [*times[1:], NEVER], strict=True):
            low = low or at
            if following - at > 2 * around:
                yield key, max(low - around, oldest), at + around
                low = 0


async def _correct(held: Transaction, changes: Changes, judgements: list[Judgement]) -> None:
    connection = held.connection
    await connection.execute(_QUERIES["plan_anew"])
    told = [(*one, stored(Verdict.HUMAN if one[-1] is None else Verdict.MACHINE, one[-1])[0]) for one in judgements]
    for row in await connection.fetch(_QUERIES["judge"], *zip(*told, strict=True)):
        changes.judged[row["reason"] or "none"] += 1
        if row["was"] is None:
            move(changes, row, -1)
        elif row["reason"] is None:
            move(changes, row, 1)
    earliest: dict[tuple[int, UUID], int] = {}
    for workspace, message, at, agent, was, reason in judgements:
        known = held.known((workspace, message.bytes))
        if known is not None and known.clicks:
            known.clicks = [
                one._replace(reason=reason) if (one.at, one.agent, one.reason) == (at, agent, was) else one
                for one in known.clicks
            ]
        if was is None or reason is None:
            earliest[workspace, message] = min(at, earliest.get((workspace, message), at))
    if earliest:
        await _move_first_clicks(held, changes, [(*key, at) for key, at in sorted(earliest.items())])


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
