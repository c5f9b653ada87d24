"""Who is signed in: sessions in Postgres, cached briefly as API keys are, so that they end within seconds."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from postmeter.gateway.keys.holders import weight
from postmeter.gateway.keys.remembered import Clock, Remembered
from postmeter.gateway.people import bearer_tokens, roles
from postmeter.gateway.people.browser.kinds import Browser
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError
from postmeter.shared.process.deadlines import within
from postmeter.shared.storage.postgres import AWAY, Connection, Pool, transaction
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.gateway.people", "sessions.sql")
LIFETIME = timedelta(days=14)
"""How long a session lasts at most."""
IDLE = timedelta(hours=24)
"""How long it lasts without a request."""
SEEN_SECONDS = 60.0
"""How often the use of a session is noted."""
SEEN_PATIENCE = 1.0
"""How long a request waits for that."""
MOST = 100
"""Sessions of one user or API key; a further one ends the oldest."""
Id = tuple[int, bytes]
"""Workspace number and the token's hash."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has signed in, or has an API key.

    email: of a user. role: the user's, or the key's. session: the id of the one that asks; None: a key does.
    """

    principal: Principal
    email: str | None
    role: str
    session: UUID | None = None

    @property
    def owner(self) -> tuple[int, str | None, str | None]:
        """Whose sessions are the holder's own: workspace number, and user or API key."""
        workspace, caller = self.principal.workspace, self.principal.key_id
        if caller.startswith(roles.USER):
            return workspace, caller.removeprefix(roles.USER), None
        return workspace, None, caller


@dataclass(slots=True)
class _Session:
    holder: Holder
    seen: float


class Sessions:
    """pool: to look up; writes: to note their use and their end. now: seconds of a clock that never goes back."""

    def __init__(self, pool: Pool, writes: Pool, now: Clock = time.monotonic) -> None:
        self._pool = pool
        self._writes = writes
        self._now = now
        self._known: Remembered[Id, _Session] = Remembered(
            "Sessions", self._look_up, now, weigh=lambda session: weight(session.holder.principal)
        )

    async def verify(self, *tokens: str, is_use: bool = True) -> Holder:
        """Who holds the session. Raises RequestError 401, or 503 when it cannot be looked up now.

        tokens: what came as one. What is not a session does not count, for others may have set it; of two sessions
        nothing tells which is meant. is_use: whether it counts against IDLE; a stream that stays open is nobody's
        doing.
        """
        places = filter(None, map(bearer_tokens.read, tokens))
        found = [(place, known) for place in places if (known := await self._known.find(place)) is not None]
        if len(found) != 1:
            challenge = {"WWW-Authenticate": "Bearer"}
            raise RequestError(401, "UNAUTHORIZED", "The session has ended; sign in again.", None, challenge)
        ((place, known),) = found
        if is_use and self._now() - known.seen > SEEN_SECONDS:
            known.seen = self._now()
            with suppress(*AWAY):  # noted a minute later, then
                await within(SEEN_PATIENCE, self._writes.execute(_QUERIES["seen"], *place))
        return known.holder

    async def end(self, *tokens: str) -> None:
        """End those of the tokens that are sessions; elsewhere they end within seconds."""
        for place in filter(None, map(bearer_tokens.read, tokens)):
            async with self._writes.acquire() as connection, transaction(connection):
                await connection.execute(_QUERIES["end"], *place)
            self._known.forget(place)

    async def own(self, holder: Holder) -> list[asyncpg.Record]:
        """The holder's sessions, the one that was used last first."""
        return await self._writes.fetch(_QUERIES["own"], *holder.owner, IDLE, MOST)

    async def end_own(self, holder: Holder, session: UUID | None = None) -> bool:
        """End one of the holder's sessions, by its id, or all. Whether there was one."""
        workspace, user, _ = holder.owner
        async with self._writes.acquire() as connection, transaction(connection):
            await connection.execute(_QUERIES["hold"], workspace, user)
            ended = await connection.fetch(_QUERIES["end_own"], *holder.owner, session)
        for row in ended:
            self._known.forget((workspace, row["hash"]))
        return bool(ended)

    async def _look_up(self, place: Id) -> _Session | None:
        row = await self._pool.fetchrow(_QUERIES["session"], *place, IDLE)
        return None if row is None else _Session(_holder(place[0], row), self._now() - row["unused"])


async def begin(connection: Connection, workspace: int, user: str | None, api_key: str | None, browser: Browser) -> str:
    """The token of a new session of a user or an API key. Run in a transaction."""
    token, digest = bearer_tokens.new(workspace)
    await connection.execute(_QUERIES["begin"], workspace, digest, user, api_key, LIFETIME, *browser)
    await connection.execute(_QUERIES["clear"], workspace, user, api_key, MOST)
    return token


async def end_all(connection: Connection, workspace: int, user: str) -> None:
    """End every session of a user."""
    await connection.execute(_QUERIES["end_own"], workspace, user, None, None)


def _holder(workspace: int, row: asyncpg.Record) -> Holder:
    if row["api_key"] is None:
        who = (str(row["user_account"]), workspace, row["workspace_id"], row["user_role"], row["user_domains"])
        return Holder(roles.principal(*who), row["email"], row["user_role"], row["id"])
    caller = Principal(
        key_id=row["api_key"],
        workspace=workspace,
        workspace_id=row["workspace_id"],
        role=row["key_role"],
        scopes=row["scopes"],
        domains=row["key_domains"],
    )
    return Holder(caller, None, row["key_role"], row["id"])
