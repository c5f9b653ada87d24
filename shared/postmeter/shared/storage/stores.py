"""Whether the stores are set up as the promises need it: looks for Advice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from postmeter.shared.storage.postgres import Pool

MOST_APART = 5.0
"""Seconds that clocks may be apart: half a minute makes requests between services a 401 (ADR 0029)."""
_CLOCK = "/* clock */ SELECT extract(epoch FROM clock_timestamp())::float8"


async def keeping(redis: Any) -> str | None:
    """What in the settings of a Redis (redis.asyncio's client) loses hits that were answered and not counted yet.

    INFO tells it: managed servers mostly refuse CONFIG. Whether each append is synced (appendfsync) is not in it.
    """
    memory, persistence = await redis.info("memory"), await redis.info("persistence")
    policy = str(memory.get("maxmemory_policy", ""))
    wrong = []
    if policy.startswith("allkeys"):
        wrong.append(f"its maxmemory-policy is {policy}: when memory is full it deletes streams; set noeviction")
    if str(persistence.get("aof_enabled", "1")) == "0":
        wrong.append("its append-only file is off: a restart of it loses the streams; set appendonly yes")
    if not wrong:
        return None
    return f"Redis may lose hits that were answered and are not counted yet: {'; '.join(wrong)}"


async def clocks(pool: Pool, now: Callable[[], float] = time.time) -> str | None:
    """Whether the clocks of this service and of Postgres are more than MOST_APART. now: Unix time in seconds."""
    async with pool.acquire() as connection:
        before = now()
        there: float = await connection.fetchval(_CLOCK)
        after = now()
    apart = there - (before + after) / 2
    if abs(apart) - (after - before) / 2 <= MOST_APART:
        return None
    return (
        f"the clock of this service is {abs(apart):.0f} seconds {'behind' if apart > 0 else 'ahead of'} that of"
        " Postgres: from half a minute on services refuse each other's requests, and events count at wrong times;"
        " have NTP set both"
    )
