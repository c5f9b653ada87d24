"""Messages by a part of their subject, in any case."""

from __future__ import annotations

import asyncpg

from postmeter.query.documents.optail.places import Selection
from postmeter.shared.errors import RequestError
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import CREATED, added
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.query.documents.optail", "optail.sql")

# The database's own collation may know ASCII only. Which of these a Postgres has depends on its version and on
# how it was built; the first also knows that SS is the upper case of ß.
_COLLATIONS = ("pg_unicode_fast", "und-x-icu", "pg_c_utf8")
_DEFAULT = "default"


MAX_KEYS = 1_000
"""With more subjects than this, messages are not looked up subject by subject: every message is read."""


async def search(
    connection: Connection, chosen: Selection, part: str, skip: int, limit: int
) -> tuple[list[asyncpg.Record], int]:
    """(`limit` of the chosen messages after the first `skip`, the newest first; the number of all).

    Reads the subjects that the workspace has, then the messages that have those (ADR 0053). Where they are too many it
    reads every message, and of some series always theirs: how long it takes would tell what others' subjects hold.
    Raises RequestError 504 QUERY_TIMEOUT where that takes too long.
    """
    collation = await connection.fetchval(_QUERIES["collations"], _COLLATIONS) or _DEFAULT
    holding = _QUERIES["holding"].format(collation=collation)
    messages, reads, wanted = "message", holding, part
    try:
        if chosen.series is not None:
            messages = _QUERIES["of_series"].format(count=added(CREATED.counters))
        else:
            subjects = _QUERIES["subjects"].format(holding=holding)
            found = await connection.fetchval(subjects, chosen.workspace, part, MAX_KEYS)
            if found == []:
                return [], 0
            if found is not None and len(found) <= MAX_KEYS:
                reads, wanted = _QUERIES["keyed"], found
        sql = _QUERIES["search"].format(messages=messages, wanted=reads)
        rows = await connection.fetch(sql, chosen.workspace, wanted, skip, limit, chosen.states, chosen.series)
    except (asyncpg.QueryCanceledError, TimeoutError):
        raise RequestError(
            504, "QUERY_TIMEOUT", "The search took too long: narrow it by status, or list without search.", "search"
        ) from None
    return [row for row in rows if row["id"] is not None], rows[0]["total"]
