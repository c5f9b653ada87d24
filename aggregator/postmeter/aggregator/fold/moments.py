"""Times on the aggregator's connections: whole microseconds since 1970, as in the records.

Postgres' binary timestamp is microseconds since 2000, so this needs no datetime objects, which would cost
more than the rest of a row.
"""

from __future__ import annotations

from typing import Any

import asyncpg

MICROSECONDS = 1_000_000
HOUR = 3600 * MICROSECONDS
UNTIL_2000 = 946_684_800 * MICROSECONDS
"""Since 1970: what stands between these times and Postgres'."""
NEVER = 2**63 - 1 + UNTIL_2000
"""Postgres' infinity."""


PLANS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""Session settings. Every statement here touches few rows by key; a generic plan made while a table was nearly
empty would scan it for as long as the connection lives, so scans and the joins that need them are ruled out."""


async def prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Make times integers on a fresh connection."""
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_encode, decoder=_decode, format="tuple"
    )


def _encode(moment: int) -> tuple[int]:
    return (moment - UNTIL_2000,)


def _decode(binary: tuple[Any, ...]) -> int:
    return int(binary[0]) + UNTIL_2000
