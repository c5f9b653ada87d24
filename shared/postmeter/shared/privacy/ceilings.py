"""The ceilings that workspaces and recipients have set, as Postgres has them."""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg

from postmeter.shared.privacy.levels import Ceilings, Choice, Choices, Level, Levels
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.shared.privacy", "ceilings.sql")

Recipient = tuple[int, str]
"""(workspace, the hash of the address)"""


async def read(database: Connection | Pool) -> dict[int, Ceilings]:
    """By workspace, what it has set; if one is missing, none of its recipients has chosen either."""
    return {row["workspace"]: _ceilings(row) for row in await database.fetch(_QUERIES["ceilings"])}


async def choices(database: Connection | Pool, recipients: Iterable[Recipient]) -> dict[Recipient, Choices]:
    """What these recipients have chosen; those who have not are left out."""
    wanted = sorted(set(recipients))
    if not wanted:
        return {}
    rows = await database.fetch(_QUERIES["choices"], *zip(*wanted, strict=True))
    return {(row["workspace"], row["to_hash"]): Choices(Choice(row["opens"]), Choice(row["clicks"])) for row in rows}


def _ceilings(row: asyncpg.Record) -> Ceilings:
    domains = zip(row["names"] or (), row["domain_opens"] or (), row["domain_clicks"] or (), strict=True)
    return Ceilings(
        workspace=_levels(row["opens"], row["clicks"]),
        domains={name: _levels(opens, clicks) for name, opens, clicks in domains},
        unknown=_levels(row["unknown_opens"], row["unknown_clicks"]),
        denied=_levels(row["denied_opens"], row["denied_clicks"]),
    )


def _levels(opens: int, clicks: int) -> Levels:
    return Levels(Level(opens), Level(clicks))
