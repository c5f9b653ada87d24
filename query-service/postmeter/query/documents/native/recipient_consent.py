"""`GET /v1/recipients/consent`: what a recipient has chosen, and the proof of it."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from aiohttp import web

from postmeter.query.requests import parameters
from postmeter.query.requests.handler import Asked
from postmeter.shared.apis.privacy.consent import ConsentAnswer, ConsentParameters, RecipientConsent, RecordedChoice
from postmeter.shared.errors import RequestError
from postmeter.shared.http.answers import json
from postmeter.shared.privacy import recipients
from postmeter.shared.privacy.levels import Choice, Choices
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.stamps import stamp

_QUERIES = Queries("postmeter.query.documents.native", "recipient_consent.sql")
MOST_TOLD = 1000


class RecipientConsents:
    """Answers GET /v1/recipients/consent."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def handle(self, asked: Asked) -> web.Response:
        """What holds, and the latest choices; for a recipient who has never chosen, that nothing is known."""
        if asked.scope.domains is not None:
            message = "What recipients choose is the workspace's; you are confined to domains."
            raise RequestError(403, "FORBIDDEN", message)
        to_hash = parameters.read(asked.request, ConsentParameters).to_hash.lower()
        if not recipients.is_hash(to_hash):
            raise parameters.invalid("to_hash", "takes the 64 hexadecimal digits that a message shows as to_hash.")
        workspace = asked.scope.workspace
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            told = await connection.fetch(_QUERIES["told"], workspace, to_hash, MOST_TOLD)
            return json(ConsentAnswer(await consent_of(connection, workspace, to_hash, told)))


async def consent_of(
    connection: Connection, workspace: int, to_hash: str, told: Sequence[asyncpg.Record]
) -> RecipientConsent:
    """What a recipient has chosen. told: rows of `consent`, the proofs that are shown."""
    now = await connection.fetchrow(_QUERIES["choice"], workspace, to_hash)
    holds = Choices() if now is None else Choices(Choice(now["opens"]), Choice(now["clicks"]))
    return RecipientConsent(holds.opens.text, holds.clicks.text, [_told(row) for row in told])


def _told(row: asyncpg.Record) -> RecordedChoice:
    return RecordedChoice(
        opens=None if row["opens"] is None else Choice(row["opens"]).text,
        clicks=None if row["clicks"] is None else Choice(row["clicks"]).text,
        method=row["method"],
        text_version=row["text_version"],
        source=row["source"],
        at=stamp(row["at"]),
        recorded_at=stamp(row["recorded_at"]),
        recorded_by=row["recorded_by"],
    )
