"""Clicks by link: the rows that stand for URLs, and the counts of each.

Links are made before the flush that needs them and outside of its transaction, as dimensions are: a row too
many does no harm, and no other flush waits for a link that everybody clicks.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable

from postmeter.aggregator.fold.changes import LinkClick
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.store import rollups
from postmeter.shared import metrics
from postmeter.shared.events import EventType
from postmeter.shared.postgres import Connection
from postmeter.shared.records import Event, Hit, Record
from postmeter.shared.rollups import LINKS
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.aggregator.store", "links.sql")
OTHER_LINK = 0
"""The link that stands for all URLs beyond the workspace's limit."""
REMEMBERED = 200_000
REMEMBERED_CHARACTERS = 1 << 25
RECOUNT_SECONDS = 10.0

Link = tuple[int, str]
"""(workspace, URL as stored)"""
Cells = dict[tuple[int, int, int, int], tuple[int, int]]
"""(workspace, bucket, series, link) to LINK_COUNTERS: clicks of people and of machines."""
NO_CLICKS = (0, 0)


class Links:
    """Remembers the ids of links across flushes and shards; forgets everything when that grows too much.

    A workspace has at most `limit` links (counted anew every ten seconds, so that it may go a little over).
    """

    def __init__(self, limit: int, counters: metrics.AggregatorMetrics) -> None:
        self._limit = limit
        self._counters = counters
        self._ids: dict[Link, int] = {}
        self._characters = 0
        self._counted: dict[int, tuple[float, int]] = {}

    async def prepare(self, connection: Connection, found: Iterable[Record]) -> None:
        """Make the links that these clicks need."""
        wanted = {
            (record.workspace, record.url)
            for record in found
            if (type(record) is Hit or (type(record) is Event and record.type == EventType.CLICKED)) and record.url
        }
        missing = wanted - self._ids.keys()
        if missing:
            self._remember(await self._resolve(connection, missing))

    async def write(self, connection: Connection, clicks: Counter[LinkClick], horizon: Horizon) -> None:
        """Add counts of clicks to every tier that keeps them, inside the caller's transaction."""
        if clicks:
            await rollups.add(connection, LINKS, await self._cells(connection, clicks), horizon)

    async def _cells(self, connection: Connection, counted: Counter[LinkClick]) -> Cells:
        ids = self._ids
        missing = {(workspace, url) for workspace, _, _, url, _ in counted} - ids.keys()
        if missing:
            # Clicks that waited for their message. What is made here may be rolled back: it is not remembered.
            ids = ids | await self._resolve(connection, missing)
        cells: Cells = {}
        for (workspace, start, series, url, machine), n in counted.items():
            key = (workspace, start, series, ids[workspace, url])
            people, machines = cells.get(key, NO_CLICKS)
            cells[key] = (people, machines + n) if machine else (people + n, machines)
        return cells

    def _remember(self, ids: dict[Link, int]) -> None:
        self._characters += sum(len(url) for _, url in ids)
        if len(self._ids) + len(ids) > REMEMBERED or self._characters > REMEMBERED_CHARACTERS:
            self._ids, self._characters = {}, sum(len(url) for _, url in ids)
        self._ids |= ids

    async def _resolve(self, connection: Connection, wanted: set[Link]) -> dict[Link, int]:
        digests = {link: hashlib.md5(link[1].encode(), usedforsecurity=False).digest() for link in wanted}
        found = await _find(connection, digests)
        by_workspace: dict[int, list[Link]] = {}
        for link in wanted - found.keys():
            by_workspace.setdefault(link[0], []).append(link)
        for workspace, missing in by_workspace.items():
            room = await self._room(connection, workspace)
            fitting, beyond = missing[:room], missing[room:]
            if fitting:
                rows = [(workspace, digests[link], link[1]) for link in fitting]
                await connection.execute(_QUERIES["make_links"], *zip(*rows, strict=True))
                found |= await _find(connection, {link: digests[link] for link in fitting})
                when, made = self._counted[workspace]
                self._counted[workspace] = (when, made + len(fitting))
            if beyond:
                self._counters.link_overflow.inc(len(beyond))
                found |= dict.fromkeys(beyond, OTHER_LINK)
        return found

    async def _room(self, connection: Connection, workspace: int) -> int:
        when, made = self._counted.get(workspace, (0.0, 0))
        if not when or time.monotonic() - when > RECOUNT_SECONDS:
            made = await connection.fetchval(_QUERIES["count_links"], workspace, self._limit)
            self._counted[workspace] = (time.monotonic(), made)
        return max(0, self._limit - made)


async def _find(connection: Connection, digests: dict[Link, bytes]) -> dict[Link, int]:
    ids = await connection.fetchval(
        _QUERIES["find_links"], [workspace for workspace, _ in digests], list(digests.values())
    )
    return {link: found for link, found in zip(digests, ids, strict=True) if found is not None}
