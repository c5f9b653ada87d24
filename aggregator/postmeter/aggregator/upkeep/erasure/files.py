"""What is kept of a recipient outside their rows: URLs of their own, files of exports, and what is in Redis."""

from __future__ import annotations

import redis.asyncio

from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.aggregator.store.links import LOCK
from postmeter.aggregator.upkeep.erasure.step import QUERIES, Erasure
from postmeter.shared.stream import source_log, streams

MOST_LINKS = 200
EXPORTS = ("messages", "events")
"""Types of exports that hold single recipients."""
CLOCKS_MS = 5_000
"""More than the clocks of Postgres and Redis are apart."""


async def clear_links(erasure: Erasure) -> bool:
    """Remove URLs that only erased people have followed. Their counts stay."""
    # Clicks that are counted in this moment are seen by the next statement: it begins when they are.
    await erasure.connection.execute(QUERIES["change_links"], LOCK, erasure.workspace)
    row = await erasure.connection.fetchrow(QUERIES["clear_links"], erasure.workspace, MOST_LINKS)
    assert row is not None
    if row["cleared"]:
        erasure.removed["link"] += row["cleared"]
    return bool(row["looked_at"] < MOST_LINKS)


async def end(erasure: Erasure, client: redis.asyncio.Redis) -> bool:
    """End exports, or have them begin again. Live events and source logs go as a whole: no count depends on them."""
    await erasure.take("export", "end_exports", EXPORTS)
    rows = await erasure.connection.fetch(QUERIES["sources"], erasure.workspace)
    keys = [streams.source_log(str(row["id"]), kind) for row in rows for kind in source_log.KEPT if kind != "taken"]
    await client.delete(streams.live_events(erasure.workspace))
    for key in keys:
        await client.delete(key)
    return True


async def are_gone(erasure: Erasure, client: redis.asyncio.Redis) -> bool:
    """Whether the files are removed, and what came before the erasure is out of the streams."""
    if await erasure.connection.fetchval(QUERIES["has_files"], erasure.workspace, EXPORTS):
        return False
    until = erasure.requested_at * 1000 // MICROSECONDS + CLOCKS_MS
    for row in await erasure.connection.fetch(QUERIES["shards"]):
        if await client.xrange(streams.stream(row["shard"]), max=until, count=1):
            return False
    return True
