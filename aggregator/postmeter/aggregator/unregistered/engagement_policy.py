"""Whose opens and clicks count where mail carries our pixel and links and its provider reports them too (ADR 0020).

Each message's opens count from one side, and so do its clicks: from ours where it carries ours, else the provider's.
A provider of which a source says `provider` counts for all mail that is registered as its own. What the other side
tells is history.
"""

from __future__ import annotations

from collections.abc import Iterable

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.states import Flag, Key
from postmeter.aggregator.refreshed import Refreshed
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event, Hit

_QUERIES = Queries("postmeter.aggregator.unregistered", "engagement_policy.sql")
CARRIES = {EventType.OPENED: Flag.TRACKS_OPENS, EventType.CLICKED: Flag.TRACKS_CLICKS}
"""The flag of a message that carries our pixel or links, which report such events."""


class EngagementPolicy:
    """Which providers' opens and clicks count instead of ours, as their sources say (`engagement`)."""

    def __init__(self) -> None:
        self._providers = Refreshed[dict[int, set[str]]]({}, _read)

    async def refresh(self, connection: Connection) -> None:
        """Read the sources again, if it is time."""
        await self._providers.refresh(connection)

    def counts_theirs(self, kind: EventType, workspace: int, flags: int, provider: str) -> bool:
        """Whether the provider's reports of such a message's opens or clicks count."""
        return not flags & CARRIES[kind] or provider in self._providers.now.get(workspace, ())

    async def kept(
        self, connection: Connection, hits: Iterable[tuple[Key, Hit, int]], events: Iterable[tuple[Key, Event, int]]
    ) -> tuple[set[Key], set[tuple[Key, int]]]:
        """(messages whose hits do not count, messages with the types of told events that do not count).

        Looks up only messages of workspaces that let a provider count, and those of which a webhook told an open or
        a click.
        """
        wanted = {key for key, event, _ in events if event.mail is not None and event.type in CARRIES}
        of_hits: set[Key] = set()
        providers = self._providers.now
        if providers:
            of_hits = {key for key, _, _ in hits if key[0] in providers}
            wanted |= of_hits
        if not wanted:
            return set(), set()
        keys = sorted(wanted)
        rows = await connection.fetch(_QUERIES["carried"], [key[0] for key in keys], [UUID(key[1]) for key in keys])
        ours: set[Key] = set()
        theirs: set[tuple[Key, int]] = set()
        for row in rows:
            key = (row["workspace"], row["id"].bytes)
            if key in of_hits and row["provider"] in providers[key[0]]:
                ours.add(key)
            for kind in CARRIES:
                if not self.counts_theirs(kind, key[0], row["flags"], row["provider"]):
                    theirs.add((key, kind))
        return ours, theirs


async def _read(connection: Connection) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for row in await connection.fetch(_QUERIES["providers_that_count"]):
        found.setdefault(row["workspace"], set()).add(row["provider"])
    return found
