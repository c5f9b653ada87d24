"""Clicks by link: the rows that stand for URLs, and the counts of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from operator import attrgetter, itemgetter

from postmeter.aggregator.errors import OutOfStep
from postmeter.aggregator.fold.changes import LinkClick
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.store import rollups
from postmeter.aggregator.store.dictionary import Dictionary, Digests, Told
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import LINKS
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event, Hit

_QUERIES = Queries("postmeter.aggregator.store", "links.sql")
Cells = dict[tuple[int, int, int, int], tuple[int, int]]
"""(workspace, bucket, series, link) to LINK_COUNTERS: clicks of people and of machines."""
NO_CLICKS = (0, 0)
_LINK = attrgetter("workspace", "url")
LOCK = 0x706D6C6B
"""Advisory lock, with a workspace's number: of whoever counts clicks, or takes URLs from links."""


class Links(Dictionary[str]):
    """The URLs of clicks. Link 0 stands for all URLs beyond the workspace's limit."""

    def unknown(self, told: Collection[Told], haunted: Collection[int]) -> list[Told]:
        """Those of these clicks whose URLs are not remembered for sure.

        haunted: workspaces that have erased anything of late: a link may have lost its URL, which then needs another.
        """
        missing = set(map(_LINK, told)) - self.ids.keys()
        if not (missing or haunted):
            return []
        return [one for one in told if (one.workspace, one.url) in missing or one.workspace in haunted]

    async def prepare(
        self, connection: Connection, hits: Iterable[Hit], events: Iterable[Event], haunted: Collection[int]
    ) -> None:
        """Make the links that these clicks need. haunted: as of `unknown`."""
        wanted = {(hit.workspace, hit.url) for hit in hits if hit.url}
        wanted |= {(one.workspace, one.url) for one in events if one.type == EventType.CLICKED and one.url}
        await self.learn(connection, wanted, haunted)

    async def hold(self, connection: Connection, clicks: Iterable[Hit | Event]) -> None:
        """Until the transaction ends no erasure takes the URLs of these clicks, which are of workspaces that erase.

        Raises OutOfStep where one was taken since the links were looked up; that is forgotten then.
        """
        named = {(one.workspace, one.url) for one in clicks}
        wanted = {one: number for one in named if (number := self.ids.get(one))}
        if not wanted:
            return
        await connection.execute(_QUERIES["hold_links"], LOCK, sorted({workspace for workspace, _ in wanted}))
        found = await self._find(connection, self._digests(wanted))
        if stale := [one for one, number in wanted.items() if found.get(one) != number]:
            for one in stale:
                self.ids.pop(one, None)
            raise OutOfStep("links lost their URLs to an erasure since they were looked up")

    async def write(self, connection: Connection, clicks: Counter[LinkClick], horizon: Horizon) -> None:
        """Add counts of clicks to every tier that keeps them, inside the caller's transaction."""
        if clicks:
            await rollups.add(connection, LINKS, await self._cells(connection, clicks), horizon)

    async def _cells(self, connection: Connection, counted: Counter[LinkClick]) -> Cells:
        named = set(map(itemgetter(0, 3), counted))
        ids = {one: number for one in named if (number := self.ids.get(one)) is not None}
        if missing := named - ids.keys():
            # Clicks that waited for their message. What is made here may be rolled back: it is not remembered.
            ids |= await self.resolve(connection, missing)
        cells: Cells = {}
        for (workspace, start, series, url, machine), n in counted.items():
            key = (workspace, start, series, ids[workspace, url])
            people, machines = cells.get(key, NO_CLICKS)
            cells[key] = (people, machines + n) if machine else (people + n, machines)
        return cells

    def text(self, one: str) -> str:
        """The URL as it is."""
        return one

    async def _find(self, connection: Connection, digests: Digests[str]) -> dict[tuple[int, str], int]:
        ids = await connection.fetchval(
            _QUERIES["find_links"], [workspace for workspace, _ in digests], list(digests.values())
        )
        return {link: found for link, found in zip(digests, ids, strict=True) if found is not None}

    async def _make(self, connection: Connection, digests: Digests[str]) -> None:
        rows = [(workspace, digest, url) for (workspace, url), digest in digests.items()]
        await connection.execute(_QUERIES["make_links"], *zip(*rows, strict=True))

    async def _count(self, connection: Connection, workspace: int, most: int) -> int:
        count: int = await connection.fetchval(_QUERIES["count_links"], workspace, most)
        return count
