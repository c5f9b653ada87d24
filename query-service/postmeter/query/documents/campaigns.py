"""Campaigns as callers see them: who may see one, what it is called, which status it shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from postmeter.query.engine.query import Scope
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.query.documents", "campaigns.sql")
_SHOWN = _QUERIES["shown"].format(domains="$3")
_FIND, _PAGE, _NAMES = (
    _QUERIES[name].format(shown=_SHOWN) for name in ("find_campaign", "list_campaigns", "campaign_names")
)
# Postgres' text takes neither, so that no campaign is called so.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Campaign:
    """A campaign. name: its id where it was given none. sent_at: the earliest sending of its messages.

    All of this is the campaign's own, the same for everybody who may see the campaign; but whoever sees it only because
    a confined key put mail of theirs into it sees what such keys said, and nothing of what others did there.
    """

    id: str
    name: str
    status: str
    sent_at: datetime | None
    created_at: datetime


async def find(pool: Pool, scope: Scope, campaign_id: str) -> Campaign | None:
    """The campaign, if it exists for this caller: a domain_admin's has a series of one of its domains."""
    if _UNSTORABLE.search(campaign_id):
        return None
    row = await pool.fetchrow(_FIND, scope.workspace, campaign_id, scope.domains)
    return None if row is None else _campaign(row)


async def page(pool: Pool, scope: Scope, after: int | str | None, limit: int) -> list[Campaign]:
    """Up to `limit` of the caller's campaigns by id, those behind the id `after`."""
    rows = await pool.fetch(_PAGE, scope.workspace, after, scope.domains, limit)
    return [_campaign(row) for row in rows]


async def names(pool: Pool, scope: Scope, ids: Iterable[str]) -> dict[str, str]:
    """What each of these campaigns is called; one without a name, or that the caller does not see, by its id."""
    wanted = list(dict.fromkeys(ids))
    rows = await pool.fetch(_NAMES, scope.workspace, wanted, scope.domains)
    called = {row["id"]: row["name"] for row in rows}
    return {campaign_id: called.get(campaign_id) or campaign_id for campaign_id in wanted}


def shown_status(said: str, sent_at: datetime | None) -> str:
    """The status: as last set; if it never was, `sent` from the first sending on, `draft` before."""
    return said or ("draft" if sent_at is None else "sent")


def _campaign(row: asyncpg.Record) -> Campaign:
    return Campaign(
        row["id"],
        row["name"] or row["id"],
        shown_status(row["status"], row["sent_at"]),
        row["sent_at"],
        row["created_at"],
    )
