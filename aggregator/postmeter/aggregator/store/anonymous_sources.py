"""Anonymous sources: the series that hits count in when their tokens name no message.

A source's dimensions are those that all its messages share: one that differs is empty from then on. They are made
outside the flush's transaction, as dimensions are: a row too many does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.states import Key
from postmeter.aggregator.store.dimensions import Dimensions
from postmeter.shared.privacy.anonymous_sources import source_of
from postmeter.shared.privacy.levels import Level
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import Series
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import Registration

_QUERIES = Queries("postmeter.aggregator.store", "anonymous_sources.sql")
REMEMBERED = 100_000


class Source(NamedTuple):
    """Where a source's hits count. provider: of its messages; empty: not all have the same."""

    series: int
    provider: str


class AnonymousSources:
    """Remembers what it has seen, across flushes and shards; forgets everything when that grows too much."""

    def __init__(self, dimensions: Dimensions) -> None:
        self._dimensions = dimensions
        self._seen: dict[Key, Series] = {}

    def forget(self) -> None:
        """Remember nothing."""
        self._seen = {}

    async def prepare(self, connection: Connection, registrations: Iterable[Registration]) -> list[Key]:
        """Make the sources that these messages' links name. Returns them, new or not."""
        wanted: dict[Key, Series] = {}
        for one in registrations:
            if (one.opens or one.clicks) and Level.ANONYMOUS in (one.opens, one.clicks):
                key = (one.workspace, source_of(one.workspace, one.campaign, one.from_domain, confined=one.confined))
                told = Series(one.workspace, one.campaign, one.from_domain, one.provider, one.template)
                wanted[key] = _shared(wanted.get(key, told), told)
        if len(self._seen) > REMEMBERED:
            self.forget()
        for key, told in sorted(wanted.items()):
            seen = self._seen.get(key)
            if seen is None or _shared(seen, told) != seen:
                self._seen[key] = await self._store(connection, key, told)
        return list(wanted)

    async def _store(self, connection: Connection, key: Key, told: Series) -> Series:
        """Returns the dimensions that are left."""
        number = (await self._dimensions.resolve(connection, {told}))[told]
        place = (key[0], UUID(key[1]))
        await connection.execute(_QUERIES["make_source"], *place, *_told(told), number)
        while True:
            known = _dimensions(await connection.fetchrow(_QUERIES["known_sources"], [place[0]], [place[1]]))
            left = _shared(known, told)
            if left == known:
                return known
            number = (await self._dimensions.resolve(connection, {left}))[left]
            async with connection.transaction():
                held = _dimensions(await connection.fetchrow(_QUERIES["hold_source"], *place))
                if held == known:
                    await connection.execute(_QUERIES["change_source"], *place, *_told(left), number)


async def find(connection: Connection, keys: Iterable[Key]) -> dict[Key, Source]:
    """Those of the sources that are known by now."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = await connection.fetch(
        _QUERIES["known_sources"], [workspace for workspace, _ in wanted], [UUID(source) for _, source in wanted]
    )
    return {(row["workspace"], row["id"].bytes): Source(row["series"], row["provider"]) for row in rows}


def _dimensions(row: asyncpg.Record | None) -> Series:
    assert row is not None
    return Series(row["workspace"], row["campaign"], row["domain"], row["provider"], row["template"])


def _shared(one: Series, other: Series) -> Series:
    """The dimensions that both have."""
    campaign, domain, provider, template = (
        mine if mine == theirs else "" for mine, theirs in zip(_told(one), _told(other), strict=True)
    )
    return Series(one.workspace, campaign, domain, provider, template)


def _told(series: Series) -> tuple[str, str, str, str]:
    return series.campaign, series.domain, series.provider, series.template
